// SPDX-License-Identifier: Apache-2.0
// The test vectors of RFC 5769 (all four) and of RFC 8489 appendix B.1 (as its verified erratum has it), in hex.
#pragma once

#include <string_view>

namespace dig::stun::testing {

// RFC 5769 §2.1-2.3: short-term credentials.
inline constexpr std::string_view k_short_term_password = "VOkJxbRl1RmTxUk/WvJxBt";
inline constexpr std::string_view k_sample_request =
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
    "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
    "c1b571a280280004e57a3bcf";
inline constexpr std::string_view k_sample_ipv4_response =
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
inline constexpr std::string_view k_sample_ipv6_response =
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
    "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

// RFC 5769 §2.4 and RFC 8489 B.1: long-term credentials; the password as it is after OpaqueString.
inline constexpr std::string_view k_long_term_username = "マトリックス";
inline constexpr std::string_view k_long_term_realm = "example.org";
inline constexpr std::string_view k_long_term_password = "TheMatrIX";
inline constexpr std::string_view k_sample_long_term_request =
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c"
    "662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014"
    "f67024656dd64a3e02b8e0712e85c9a28ca89666";
inline constexpr std::string_view k_sample_sha256_nonce = "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA";
inline constexpr std::string_view k_sample_sha256_request =
    "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b2"
    "05c46e41407f170400150029"
    "6f624d61744a6f7332414141"
    "43662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b6578616d706c652e6f726700"
    "001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

}  // namespace dig::stun::testing
