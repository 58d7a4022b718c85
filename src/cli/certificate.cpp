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

struct Text {
  std::string text;
  store::File::Version version;
};

Result<Text> read_file(const std::string& path) {
  DIG_TRY(const store::File file, store::File::open_regular(path));
  Text out;
  DIG_TRY(out.version, file.version());
  DIG_TRY(out.text, file.read_text(k_max_pem));
  return out;
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
  DIG_TRY(Text chain, read_file(certificate_file));
  DIG_TRY(Text key, read_file(key_file));
  return Certificate{std::move(chain.text), std::move(key.text), {chain.version, key.version}};
}

CertificateWatch::CertificateWatch(Context& context, const CertificateFlags& flags, const Certificate::Version& in_use,
                                   Use use)
    : context_(context), flags_(flags), use_(std::move(use)), in_use_(in_use) {
  look_again();
}

CertificateWatch::~CertificateWatch() { context_.loop.cancel(timer_); }

void CertificateWatch::look_again() {
  timer_ = context_.loop.call_after(k_interval, [this] {
    look();
    look_again();
  });
}

void CertificateWatch::look() {
  const auto certificate = flags_.read();
  if (certificate && *certificate && (*certificate)->version == in_use_) return;
  const Result<void> used = certificate ? use_(**certificate) : std::unexpected(certificate.error());
  if (used) {
    in_use_ = (*certificate)->version;
    told_.clear();
    context_.console.json({{"event", "certificate"}, {"state", "reloaded"}});
    context_.console.note("the certificate has changed; new clients get the new one");
  } else if (std::exchange(told_, used.error().message()) != used.error().message()) {
    context_.console.json(service::node_event_form(dignet::Warning{used.error()}));
    context_.console.error("the new certificate cannot be used: " + used.error().message());
  }
}

}  // namespace dig::cli
