// SPDX-License-Identifier: Apache-2.0
// Parsing and printing of addresses: RFC 4291 §2.2 in, RFC 5952 out. No system call, no locale, no name lookup.
#include "base/endpoint.hpp"

#include <algorithm>
#include <optional>

#include "base/decimal.hpp"

namespace dig {
namespace {

using Groups = std::array<std::uint16_t, 8>;

Result<std::array<std::uint8_t, 4>> parse_dotted(std::string_view text) {
  std::array<std::uint8_t, 4> octets{};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t end = i == 3 ? text.size() : text.find('.');
    if (end == std::string_view::npos) return fail(Errc::malformed, "an IPv4 address needs four numbers");
    DIG_TRY(const std::uint64_t octet, parse_decimal(text.substr(0, end), 255));
    octets[i] = static_cast<std::uint8_t>(octet);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return octets;
}

Result<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return fail(Errc::malformed, "an IPv6 group has one to four digits");
  unsigned value = 0;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit && (lower < 'a' || lower > 'f')) return fail(Errc::malformed, "not a hexadecimal digit");
    value = value * 16 + static_cast<unsigned>(is_digit ? c - '0' : lower - 'a' + 10);
  }
  return static_cast<std::uint16_t>(value);
}

// Groups between colons, the last of which may be a dotted IPv4 address; one side of a "::" or a whole address.
struct GroupList {
  Groups groups{};
  std::size_t count = 0;
};

Result<GroupList> parse_groups(std::string_view text, bool may_end_dotted) {
  GroupList list;
  if (text.empty()) return list;
  for (;;) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    const bool is_last = colon == std::string_view::npos;
    if (is_last && may_end_dotted && part.find('.') != std::string_view::npos) {
      if (list.count > 6) return fail(Errc::malformed, "an IPv6 address with too many groups");
      DIG_TRY(const auto octets, parse_dotted(part));
      list.groups[list.count++] = static_cast<std::uint16_t>(octets[0] << 8 | octets[1]);
      list.groups[list.count++] = static_cast<std::uint16_t>(octets[2] << 8 | octets[3]);
      return list;
    }
    if (list.count == 8) return fail(Errc::malformed, "an IPv6 address with too many groups");
    DIG_TRY(list.groups[list.count++], parse_group(part));
    if (is_last) return list;
    text.remove_prefix(colon + 1);
  }
}

Result<IpAddress> parse_v6(std::string_view text) {
  const std::size_t gap = text.find("::");
  DIG_TRY(GroupList head, parse_groups(text.substr(0, gap), gap == std::string_view::npos));
  if (gap == std::string_view::npos) {
    if (head.count != 8) return fail(Errc::malformed, "an IPv6 address needs eight groups");
  } else {
    DIG_TRY(const GroupList tail, parse_groups(text.substr(gap + 2), true));
    if (head.count + tail.count > 7) return fail(Errc::malformed, "an IPv6 address with too many groups");
    std::copy_n(tail.groups.begin(), tail.count, head.groups.end() - static_cast<std::ptrdiff_t>(tail.count));
  }
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t i = 0; i < 8; ++i) {
    octets[2 * i] = static_cast<std::uint8_t>(head.groups[i] >> 8);
    octets[2 * i + 1] = static_cast<std::uint8_t>(head.groups[i]);
  }
  return IpAddress::v6(octets);
}

void append_hex(std::string& out, unsigned value) {
  constexpr std::string_view digits = "0123456789abcdef";
  bool started = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    const unsigned digit = (value >> shift) & 0xF;
    started = started || digit != 0 || shift == 0;
    if (started) out += digits[digit];
  }
}

std::string print_dotted(const std::uint8_t* octets) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) text += '.';
    text += std::to_string(octets[i]);
  }
  return text;
}

// The longest run of at least two zero groups, the first of equals (RFC 5952 §4.2).
struct Run {
  std::size_t begin = 0;
  std::size_t size = 0;
};

Run longest_zero_run(const Groups& groups) {
  Run best;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > best.size) best = {i, end - i};
    i = std::max(end, i + 1);
  }
  return best;
}

std::string print_v6(const std::array<std::uint8_t, 16>& octets) {
  constexpr std::array<std::uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(mapped.begin(), mapped.end(), octets.begin())) {  // RFC 5952 §5
    return "::ffff:" + print_dotted(octets.data() + 12);
  }
  Groups groups{};
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<std::uint16_t>(octets[2 * i] << 8 | octets[2 * i + 1]);
  }
  const Run run = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (run.size > 0 && i == run.begin) {
      text += "::";
      i += run.size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    append_hex(text, groups[i]);
  }
  return text;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return parse_v6(text);
  DIG_TRY(const auto octets, parse_dotted(text));
  return v4(octets);
}

Result<IpAddress> IpAddress::from_bytes(BytesView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return fail(Errc::malformed, "an IP address has 4 or 16 bytes");
  IpAddress address;
  address.family_ = bytes.size() == 4 ? IpFamily::v4 : IpFamily::v6;
  std::memcpy(address.octets_.data(), bytes.data(), bytes.size());
  return address;
}

IpAddress IpAddress::loopback(IpFamily family) {
  if (family == IpFamily::v4) return v4({127, 0, 0, 1});
  return v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

IpAddress IpAddress::any(IpFamily family) { return family == IpFamily::v4 ? IpAddress() : v6({}); }

bool IpAddress::is_unspecified() const noexcept {
  return std::all_of(octets_.begin(), octets_.end(), [](std::uint8_t octet) { return octet == 0; });
}

std::string IpAddress::to_string() const { return is_v4() ? print_dotted(octets_.data()) : print_v6(octets_); }

std::string Endpoint::to_string() const {
  const std::string text = address.is_v4() ? address.to_string() : '[' + address.to_string() + ']';
  return text + ':' + std::to_string(port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::malformed, "a port is missing");
  std::string_view host = text.substr(0, colon);
  const bool is_bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  DIG_TRY(const IpAddress address, IpAddress::parse(host));
  if (address.is_v4() == is_bracketed) return fail(Errc::malformed, "only IPv6 addresses stand in brackets");
  DIG_TRY(const std::uint64_t port, parse_decimal(text.substr(colon + 1), 65535));
  return Endpoint{address, static_cast<std::uint16_t>(port)};
}

}  // namespace dig
