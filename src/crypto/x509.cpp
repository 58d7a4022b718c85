// SPDX-License-Identifier: Apache-2.0
#include "crypto/x509.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>

#include "base/endpoint.hpp"
#include "base/safe_text.hpp"

namespace dig::crypto {
namespace {

constexpr std::size_t k_max_pem = 4 << 20;  // a bundle of all public authorities has about 200 KiB
constexpr std::size_t k_max_leaf = 32 * 1024;
constexpr int k_max_names = 64;

struct Asn1Delete {
  void operator()(ASN1_OBJECT* oid) const noexcept { ASN1_OBJECT_free(oid); }
  void operator()(ASN1_TIME* time) const noexcept { ASN1_TIME_free(time); }
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

UnixTime to_unix_time(const ASN1_TIME* time) {
  const std::unique_ptr<ASN1_TIME, Asn1Delete> origin(ASN1_TIME_set(nullptr, 0));
  require_openssl(origin != nullptr);
  int days = 0;
  int seconds = 0;
  // A date that cannot be read is one that never is: verification refuses such a certificate anyway.
  if (ASN1_TIME_diff(&days, &seconds, origin.get(), time) != 1) ERR_clear_error();
  return {std::int64_t{days} * 86'400 + seconds};
}

std::string to_text(const ASN1_TIME* time) {
  const std::int64_t seconds = to_unix_time(time).seconds;
  const std::chrono::sys_seconds point{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(point - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u %02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

std::string to_text(const X509_NAME* name) {
  std::array<char, 200> text{};
  if (X509_NAME_oneline(name, text.data(), static_cast<int>(text.size())) == nullptr) ERR_clear_error();
  return text.data();
}

BytesView content_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const std::byte*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

}  // namespace

Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::size_t limit) {
  if (pem.size() > k_max_pem) return fail(Errc::certificate_unreadable, "the PEM text is too long");
  const OpensslPtr<bio_st> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  require_openssl(input != nullptr);
  std::vector<Certificate> certificates;
  while (Certificate certificate{PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr)}) {
    if (certificates.size() == limit) return fail(Errc::certificate_unreadable, "too many certificates");
    certificates.push_back(std::move(certificate));
  }
  const unsigned long reason = ERR_peek_last_error();
  ERR_clear_error();
  // The end of the text shows as a missing first line of a further certificate; everything else is damage.
  const bool is_end = ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
  if (!is_end) return fail(Errc::certificate_unreadable, "a certificate in the PEM text is damaged");
  if (certificates.empty()) return fail(Errc::certificate_unreadable, "the PEM text holds no certificate");
  return certificates;
}

Bytes certificate_der(const x509_st& certificate) {
  const int size = i2d_X509(&certificate, nullptr);
  require_openssl(size > 0);
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* end = writable_octets(der);
  require_openssl(i2d_X509(&certificate, &end) == size);
  return der;
}

std::string certificate_pem(x509_st& certificate) {
  const OpensslPtr<bio_st> output(BIO_new(BIO_s_mem()));
  require_openssl(output != nullptr && PEM_write_bio_X509(output.get(), &certificate) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(output.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bytes public_key_der(x509_st& certificate) {
  X509_PUBKEY* const key = X509_get_X509_PUBKEY(&certificate);
  const int size = i2d_X509_PUBKEY(key, nullptr);
  require_openssl(size > 0);
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* end = writable_octets(der);
  require_openssl(i2d_X509_PUBKEY(key, &end) == size);
  return der;
}

Result<BoundKey> read_bound_key(BytesView der, const std::string& oid) {
  if (der.size() > k_max_leaf) return fail(Errc::certificate_refused, "it is too long");
  const unsigned char* end = octets(der);
  const Certificate certificate(d2i_X509(nullptr, &end, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || end != octets(der) + der.size()) return fail(Errc::certificate_refused, "it cannot be read");
  EVP_PKEY* const key = X509_get0_pubkey(certificate.get());
  const bool is_self_signed = key != nullptr && X509_verify(certificate.get(), key) == 1;
  ERR_clear_error();
  if (!is_self_signed) return fail(Errc::certificate_refused, "it is not signed with its own key");
  const std::unique_ptr<ASN1_OBJECT, Asn1Delete> wanted(OBJ_txt2obj(oid.c_str(), 1));
  require_openssl(wanted != nullptr);
  const int index = X509_get_ext_by_OBJ(certificate.get(), wanted.get(), -1);
  if (index < 0) return fail(Errc::certificate_refused, "it has no extension " + oid);
  if (X509_get_ext_by_OBJ(certificate.get(), wanted.get(), index) >= 0) {
    return fail(Errc::certificate_refused, "it has the extension " + oid + " more than once");
  }
  const ASN1_OCTET_STRING* const content = X509_EXTENSION_get_data(X509_get_ext(certificate.get(), index));
  return BoundKey{public_key_der(*certificate), to_bytes(content_of(content))};
}

UnixTime valid_from(const x509_st& certificate) { return to_unix_time(X509_get0_notBefore(&certificate)); }
UnixTime valid_until(const x509_st& certificate) { return to_unix_time(X509_get0_notAfter(&certificate)); }
std::string valid_from_text(const x509_st& certificate) { return to_text(X509_get0_notBefore(&certificate)); }
std::string valid_until_text(const x509_st& certificate) { return to_text(X509_get0_notAfter(&certificate)); }

std::vector<std::string> certificate_names(const x509_st& certificate) {
  const std::unique_ptr<GENERAL_NAMES, Asn1Delete> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  std::vector<std::string> texts;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()) && i < k_max_names; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) texts.push_back(SafeText(as_text(content_of(name->d.dNSName)), 255).str());
    if (name->type != GEN_IPADD) continue;
    if (const auto address = IpAddress::from_bytes(content_of(name->d.iPAddress))) {
      texts.push_back(address->to_string());
    }
  }
  return texts;
}

std::string subject_text(const x509_st& certificate) { return to_text(X509_get_subject_name(&certificate)); }
std::string issuer_text(const x509_st& certificate) { return to_text(X509_get_issuer_name(&certificate)); }

}  // namespace dig::crypto
