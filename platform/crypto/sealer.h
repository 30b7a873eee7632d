// Sealer: texts sealed under keys of the configuration (AES-256-GCM), and keyed hashes under the same keys.
//
// The first key seals, every key opens, so keys are rotated without a gap. Each seal has its own key, made of the
// configured one and 16 random bytes, so how much one key may seal has no practical end. What a sealed text belongs to
// (its context) is authenticated with it: moved elsewhere it doesn't open.
//
// Thread-safe; SetKeys() replaces the keys as a whole, for those who come after. On a crash nothing is lost: the keys
// are the configuration's. Who loses a key loses what was sealed under it.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/secret.h"

namespace outrider::crypto {

inline constexpr std::size_t kSealingKeyBytes = 32;

struct SealingKey {
  std::string id;  // stands beside what it sealed: 1 to 32 characters
  Secret key;      // kSealingKeyBytes raw bytes
  friend bool operator==(const SealingKey&, const SealingKey&) = default;
};

// The raw bytes of a key that is written as 64 hexadecimal digits or as base64; nothing when it is neither, or of
// another length.
std::optional<Secret> ParseSealingKey(std::string_view text);

class Sealer final {
 public:
  Sealer() = default;  // without keys
  explicit Sealer(std::vector<SealingKey> keys) { SetKeys(std::move(keys)); }
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  void SetKeys(std::vector<SealingKey> keys);
  bool has_keys() const { return !Keys()->empty(); }
  bool Knows(std::string_view key_id) const;
  std::string first_key() const;  // empty: there is none

  struct Sealed {
    std::string key_id;
    std::string bytes;
  };
  // Nothing when there is no key.
  std::optional<Sealed> Seal(std::string_view clear, std::string_view context) const;
  // Nothing when the key isn't known, the bytes were changed, or they belong to another context.
  std::optional<std::string> Open(std::string_view key_id, std::string_view bytes, std::string_view context) const;

  struct Mac {
    std::string key_id;
    std::string bytes;  // HMAC-SHA-256, 32 bytes
  };
  // Under each key, the first key's first. `purpose` keeps equal texts of different meaning apart.
  std::vector<Mac> Macs(std::string_view purpose, std::string_view text) const;

 private:
  std::shared_ptr<const std::vector<SealingKey>> Keys() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<SealingKey>> keys_ = std::make_shared<const std::vector<SealingKey>>();
};

}  // namespace outrider::crypto
