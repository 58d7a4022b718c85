# SPDX-License-Identifier: Apache-2.0
# In the tree, dignet::dignet is the top of what the public headers need.
add_library(dignet INTERFACE)
target_link_libraries(dignet INTERFACE dignet_api)
add_library(dignet::dignet ALIAS dignet)
