// SPDX-License-Identifier: Apache-2.0
// The certificate of a server: the flags that name it, and its renewal while the server runs.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "cli/context.hpp"
#include "store/disk/file.hpp"

namespace CLI {
class App;
}

namespace dig::cli {

struct Certificate {
  using Version = std::array<store::File::Version, 2>;

  std::string chain;  // PEM, its own first, then its issuers
  std::string key;    // PEM
  Version version;    // of the two files, as they were just before they were read
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

// Looks every few seconds whether the files are others than those in use, and has what is in them then used. What
// cannot be read or used is told once and tried again, and the server goes on with what it has.
class CertificateWatch {
 public:
  using Use = std::function<Result<void>(const Certificate& certificate)>;
  // `in_use` is the version of what the server has. `context` and `flags` must outlive the watch.
  CertificateWatch(Context& context, const CertificateFlags& flags, const Certificate::Version& in_use, Use use);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

 private:
  void look_again();
  void look();

  Context& context_;
  const CertificateFlags& flags_;
  Use use_;
  Certificate::Version in_use_;
  std::string told_;  // why the newest files are not in use
  service::EventLoop::TimerId timer_ = 0;
};

}  // namespace dig::cli
