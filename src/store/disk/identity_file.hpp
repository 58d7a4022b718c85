// SPDX-License-Identifier: Apache-2.0
// The identity key on disk: <home>/identity.key, mode 0600 in a folder of mode 0700.
#pragma once

#include "base/result.hpp"
#include "base/rng.hpp"
#include "store/disk/file.hpp"
#include "wire/identity.hpp"

namespace dig::store {

// Loads the key, or makes it when there is none; of two processes that make it at once, both get the same one.
// A key that is there but not right is never replaced. Errors: identity_insecure (others may read or write it, or it
// belongs to somebody else), identity_malformed (no regular file, hard links, wrong size or content),
// identity_unreadable.
[[nodiscard]] Result<Identity> load_or_create_identity(const fs::path& home, Rng& rng);

}  // namespace dig::store
