// SPDX-License-Identifier: Apache-2.0
// The certificate of a server: the flags that name it, and its renewal while the server runs.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cli/context.hpp"

namespace CLI {
class App;
}

namespace dig::cli {

struct Certificate {  // PEM
  std::string chain;  // its own first, then its issuers
  std::string key;
};

struct CertificateFlags {
  std::string certificate_file;
  std::string key_file;

  // `purpose` says what the certificate is for.
  void define(CLI::App& app, const std::string& purpose);
  [[nodiscard]] bool is_given() const { return !certificate_file.empty(); }
  // What the files hold; nothing when none are named. Errors: invalid_argument when only one is, the errors of files.
  [[nodiscard]] Result<std::optional<Certificate>> read() const;
};

// Looks every few seconds whether the files have changed, and has what is in them then used. What cannot be read or
// used is told, and the server goes on with what it has.
class CertificateWatch {
 public:
  using Use = std::function<Result<void>(const Certificate& certificate)>;
  // `context` and `flags` must outlive it.
  CertificateWatch(Context& context, const CertificateFlags& flags, Use use);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

 private:
  using Stamp = std::array<std::filesystem::file_time_type, 2>;
  [[nodiscard]] Stamp stamp() const;
  void look_again();
  [[nodiscard]] Result<void> reload();

  Context& context_;
  const CertificateFlags& flags_;
  Use use_;
  Stamp seen_;
  service::EventLoop::TimerId timer_ = 0;
};

}  // namespace dig::cli
