// SPDX-License-Identifier: Apache-2.0
// The name of a store, of one version of it, or of one resource in it (design §7):
//   urn:dig:chia:{store id}[:{root hash}][/{resource key}]      dig://{store id}[:{root hash}][/{resource key}]
//
// The prefix ("urn:dig:chia:", 13 characters) and the hex digits may be of any case. The resource key is
// percent-decoded once and must then be a resource name (resource_name.hpp). An empty key, or one that ends in '/',
// names the `index.html` of that folder. RFC 8141 r-, q- and f-components are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/hash256.hpp"

namespace dig::store {

struct Urn {
  StoreId store_id;
  std::optional<RootHash> root;
  std::string resource;  // decoded; empty: the whole store

  // Errors: bad_urn.
  [[nodiscard]] static Result<Urn> parse(std::string_view text);
  // The canonical text: lower case, what need not be escaped is not. parse(to_string()) gives the same Urn.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Urn&, const Urn&) = default;
};

}  // namespace dig::store
