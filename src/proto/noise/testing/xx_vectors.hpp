// SPDX-License-Identifier: Apache-2.0
// A whole Noise XX handshake with libp2p payloads and the first frames behind it, computed by an implementation written
// for this purpose in another language. Keys are runs of rising bytes: initiator seed from 00, static 20, ephemeral 40;
// responder seed from 60, static 80, ephemeral a0. Both offer the muxer /yamux/1.0.0.
#pragma once

#include <string_view>

namespace dig::noise::testing {

inline constexpr std::string_view k_message_1 = "002079a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a";

inline constexpr std::string_view k_message_2 =
    "00d8605a725d2a4adfeeb1a29e17edd621c1b7593ee8cdbc44ac6c4ab6e2f805d23ca478aa18b0195a2315854bb34b51f7c218020250c833"
    "907ea962ba8163c5222ed3dc5aa27a7b0dffd2aacb5faf89b7e6c3ee9eb0ff95d7d628120d5edb2eb28a23d3928ce0e29c65aaba51da5bdc"
    "6b2cd04173c73d3287213d79cd9bbc1da110c202bdcb5c772cb8db392381f44522b2b73e6a1644d6af280a4839723d6332b5a61638ddf140"
    "8354729c53cfe5c4876cd07b4e503a2a64f64643a1fac2e0fd8903013e065da0cf07f189ab85ba52e8857d520fb1fa78f7e2";

inline constexpr std::string_view k_message_3 =
    "00b80e4c20c946ee98d2b6443e7ccf53341e30f21f1e9d9175662efcbd6d0f2dcbc03f9727af24dc6fdf0cd3940e5819e5ac392dc468789d"
    "ab81cfa3da4e125a8f814f19b195e93ee6137d9642c7fe30a456bfe9362a065e42cebc00784f11336a1a0e36ab2cc61f65de476cc669ca8f"
    "bcfb87f7968b0c37cdd4d2ff450fc7cd84870b29349d449cd87f4a1e0bd9360908f4e8e9ad09b1b5de62d4739b91c249f12858a044c4288e"
    "887fce27a8cd441cbd434399770189006ea0";

inline constexpr std::string_view k_frame_initiator_0 =
    "00280b6ee102faea1f86a9fb15cb91dced1726d511c657543ec5180eb4d9169ea2ef545708bfb89620c0";

inline constexpr std::string_view k_frame_initiator_1 = "0015484b0aa8a54521afa766f7f37c16961a5de0e50701";

inline constexpr std::string_view k_frame_responder_0 =
    "00289a330234e0cd0d2eb9108d3aa6cf495b6d5fad0c989a5531e01fa1f3344401fac65ddf81cc9d2575";

}  // namespace dig::noise::testing
