// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_certificate.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "crypto/system_rng.hpp"

namespace dig {
namespace {

class PeerCertificateTest : public ::testing::Test {
 protected:
  crypto::SystemRng rng_;
  Identity identity_ = Identity::generate(rng_);
};

TEST_F(PeerCertificateTest, it_names_its_peer_and_knows_no_clock) {
  const auto certificate = make_peer_certificate(identity_);
  EXPECT_EQ(peer_of_certificate(certificate->leaf_der()).value(), identity_.peer_id());
  EXPECT_TRUE(certificate->is_valid_at({946'684'800}));
  EXPECT_TRUE(certificate->is_valid_at({4'102'000'000}));
  EXPECT_NE(make_peer_certificate(identity_)->fingerprint(), certificate->fingerprint());
}

TEST_F(PeerCertificateTest, no_byte_of_it_can_be_changed) {
  const auto certificate = make_peer_certificate(identity_);
  for (std::size_t at = 0; at < certificate->leaf_der().size(); ++at) {
    Bytes changed = certificate->leaf_der();
    changed[at] ^= std::byte{1};
    EXPECT_FALSE(peer_of_certificate(changed)) << at;
  }
  Bytes longer = certificate->leaf_der();
  longer.push_back(std::byte{0});
  EXPECT_FALSE(peer_of_certificate(longer));
  EXPECT_FALSE(peer_of_certificate({}));
}

TEST_F(PeerCertificateTest, a_certificate_without_the_extension_names_nobody) {
  const auto plain = crypto::TlsIdentity::make_self_signed({"localhost"}, std::chrono::hours{1}, {1'000'000'000});
  const auto peer = peer_of_certificate((*plain)->leaf_der());
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), Errc::certificate_refused);
}

TEST_F(PeerCertificateTest, a_key_that_was_signed_for_another_certificate_is_refused) {
  const Bytes one(91, std::byte{1});
  const Bytes other(91, std::byte{2});
  const Bytes content = encode_signed_key(identity_, one);
  EXPECT_EQ(verify_signed_key(content, one).value(), identity_.peer_id());
  EXPECT_EQ(verify_signed_key(content, other).error().code(), Errc::bad_signature);
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_FALSE(verify_signed_key(BytesView(content).first(size), one));
  }
  Bytes longer = content;
  longer.push_back(std::byte{0});
  EXPECT_EQ(verify_signed_key(longer, one).error().code(), Errc::malformed);
}

}  // namespace
}  // namespace dig
