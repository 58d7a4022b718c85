// SPDX-License-Identifier: Apache-2.0
// A certificate authority for tests: issues certificates that are right or wrong in the ways that a test needs.
#pragma once

#include <string>
#include <vector>

#include "crypto/tls_identity.hpp"

namespace dig::crypto::testing {

inline constexpr UnixTime k_test_wall{1'800'000'000};  // 2027-01-15: when the tests take place

struct TestCertificate {
  std::string certificates;  // PEM: the certificate and its issuers without the root
  std::string private_key;   // PEM
  [[nodiscard]] std::shared_ptr<const TlsIdentity> identity() const;
};

struct TestRequest {
  std::vector<std::string> names{"turn.example"};  // host names and IP addresses
  UnixTime not_before{k_test_wall.seconds - 1000};
  UnixTime not_after{k_test_wall.seconds + 1'000'000};
  bool is_rsa = false;      // 2048 bits; else ECDSA P-256
  int intermediates = 0;    // authorities between the root and the certificate
  std::size_t padding = 0;  // bytes of a private extension, to make the certificate long
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  [[nodiscard]] const std::string& root_pem() const noexcept { return root_pem_; }
  [[nodiscard]] TestCertificate issue(const TestRequest& request = {}) const;

 private:
  struct Signer;
  std::unique_ptr<Signer> root_;
  std::string root_pem_;
};

}  // namespace dig::crypto::testing
