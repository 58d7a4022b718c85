# SPDX-License-Identifier: Apache-2.0
# Checks of the tree itself: they need no build.
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)
dignet_test(tree.layers tree 60 COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/check_layers.py)
dignet_test(tree.layers_checker_can_fail tree 60 COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/check_layers_test.py)
dignet_test(tree.errors_md tree 60 COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/generate_errors_md.py --check)
dignet_test(tree.readme tree 60 COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/check_readme.py)
dignet_test(tree.errors_used tree 60 COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/check_errors_used.py)
