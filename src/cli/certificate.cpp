// SPDX-License-Identifier: Apache-2.0
#include "cli/certificate.hpp"

#include <CLI/CLI.hpp>
#include <utility>

#include "dignet/node.hpp"
#include "service/json_forms.hpp"
#include "store/disk/file.hpp"

namespace dig::cli {
namespace {

constexpr std::uint64_t k_max_pem = std::uint64_t{1} << 20U;
constexpr std::chrono::seconds k_interval{2};

Result<std::string> read_text(const std::string& file) {
  DIG_TRY(const store::File opened, store::File::open_regular(file));
  return opened.read_text(k_max_pem);
}

}  // namespace

void CertificateFlags::define(CLI::App& app, const std::string& purpose) {
  app.add_option("--tls-cert", certificate_file, purpose)->type_name("FILE");
  app.add_option("--tls-key", key_file, "Its private key (PEM)")->type_name("FILE");
}

Result<std::optional<Certificate>> CertificateFlags::read() const {
  if (certificate_file.empty() != key_file.empty()) {
    return fail(Errc::invalid_argument, "--tls-cert and --tls-key go together");
  }
  if (certificate_file.empty()) return std::nullopt;
  Certificate certificate;
  DIG_TRY(certificate.chain, read_text(certificate_file));
  DIG_TRY(certificate.key, read_text(key_file));
  return certificate;
}

CertificateWatch::CertificateWatch(Context& context, const CertificateFlags& flags, Use use)
    : context_(context), flags_(flags), use_(std::move(use)), seen_(stamp()) {
  if (flags_.is_given()) look_again();
}

CertificateWatch::~CertificateWatch() { context_.loop.cancel(timer_); }

CertificateWatch::Stamp CertificateWatch::stamp() const {
  std::error_code ignored;
  return {std::filesystem::last_write_time(flags_.certificate_file, ignored),
          std::filesystem::last_write_time(flags_.key_file, ignored)};
}

void CertificateWatch::look_again() {
  timer_ = context_.loop.call_after(k_interval, [this] {
    if (const Stamp now = stamp(); now != seen_) {
      seen_ = now;
      if (const auto reloaded = reload()) {
        context_.console.json({{"event", "certificate"}, {"state", "reloaded"}});
        context_.console.note("the certificate has changed; new clients get the new one");
      } else {
        context_.console.json(service::node_event_form(dignet::Warning{reloaded.error()}));
        context_.console.error("the new certificate cannot be used: " + reloaded.error().message());
      }
    }
    look_again();
  });
}

Result<void> CertificateWatch::reload() {
  DIG_TRY(const auto certificate, flags_.read());
  return certificate ? use_(*certificate) : Result<void>();
}

}  // namespace dig::cli
