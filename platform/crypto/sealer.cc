#include "platform/crypto/sealer.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "platform/crypto/hmac.h"

namespace outrider::crypto {
namespace {

constexpr char kForm = 1;  // of the bytes: form, salt, nonce, what is sealed, tag
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kSaltBytes + kNonceBytes;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// A nonce of 12 random bytes is enough for some 2^32 texts of one key, which is ten days under load. With a key for
// each salt it doesn't matter.
std::string KeyOf(const SealingKey& key, std::string_view salt) {
  return HmacSha256(key.key.Reveal(), fmt::format("outrider seal\n{}", salt));
}

const SealingKey* Find(const std::vector<SealingKey>& keys, std::string_view id) {
  const auto found = std::ranges::find(keys, id, &SealingKey::id);
  return found == keys.end() ? nullptr : &*found;
}

std::optional<std::string> FromHex(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

}  // namespace

std::optional<Secret> ParseSealingKey(std::string_view text) {
  auto bytes = text.size() == 2 * kSealingKeyBytes ? FromHex(text) : DecodeBase64(text);
  if (!bytes || bytes->size() != kSealingKeyBytes) return std::nullopt;
  return Secret(std::move(*bytes));
}

void Sealer::SetKeys(std::vector<SealingKey> keys) {
  auto next = std::make_shared<const std::vector<SealingKey>>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(next);
}

std::shared_ptr<const std::vector<SealingKey>> Sealer::Keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

bool Sealer::Knows(std::string_view key_id) const { return Find(*Keys(), key_id) != nullptr; }

std::string Sealer::first_key() const {
  const auto keys = Keys();
  return keys->empty() ? std::string() : keys->front().id;
}

std::optional<Sealer::Sealed> Sealer::Seal(std::string_view clear, std::string_view context) const {
  const auto keys = Keys();
  if (keys->empty()) return std::nullopt;
  const std::string salt = RandomBytes(kSaltBytes);
  const std::string nonce = RandomBytes(kNonceBytes);
  const std::string key = KeyOf(keys->front(), salt);
  std::string sealed(clear.size(), '\0');
  std::string tag(kTagBytes, '\0');
  int size = 0;
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX* const c = cipher.get();
  const bool done = c != nullptr && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) == 1 &&
                    EVP_EncryptUpdate(c, nullptr, &size, Bytes(context), static_cast<int>(context.size())) == 1 &&
                    EVP_EncryptUpdate(c, Bytes(sealed), &size, Bytes(clear), static_cast<int>(clear.size())) == 1 &&
                    EVP_EncryptFinal_ex(c, Bytes(tag), &size) == 1 &&
                    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes), Bytes(tag)) == 1;
  if (!done) {
    std::fputs("fatal: OpenSSL can't seal with AES-256-GCM\n", stderr);
    std::abort();
  }
  return Sealed{keys->front().id, kForm + salt + nonce + sealed + tag};
}

std::optional<std::string> Sealer::Open(std::string_view key_id, std::string_view bytes,
                                        std::string_view context) const {
  const auto keys = Keys();
  const SealingKey* const configured = Find(*keys, key_id);
  if (configured == nullptr || bytes.size() < kHeadBytes + kTagBytes || bytes.front() != kForm) return std::nullopt;
  const std::string key = KeyOf(*configured, bytes.substr(1, kSaltBytes));
  const std::string_view nonce = bytes.substr(1 + kSaltBytes, kNonceBytes);
  const std::string_view sealed = bytes.substr(kHeadBytes, bytes.size() - kHeadBytes - kTagBytes);
  std::string tag(bytes.substr(bytes.size() - kTagBytes));
  std::string clear(sealed.size() + kTagBytes, '\0');
  int size = 0;
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX* const c = cipher.get();
  const bool done = c != nullptr && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) == 1 &&
                    EVP_DecryptUpdate(c, nullptr, &size, Bytes(context), static_cast<int>(context.size())) == 1 &&
                    EVP_DecryptUpdate(c, Bytes(clear), &size, Bytes(sealed), static_cast<int>(sealed.size())) == 1 &&
                    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes), Bytes(tag)) == 1 &&
                    EVP_DecryptFinal_ex(c, Bytes(clear) + sealed.size(), &size) == 1;
  if (!done) return std::nullopt;
  clear.resize(sealed.size());
  return clear;
}

std::vector<Sealer::Mac> Sealer::Macs(std::string_view purpose, std::string_view text) const {
  std::vector<Mac> macs;
  const auto keys = Keys();
  for (const SealingKey& key : *keys) {
    macs.push_back({key.id, HmacSha256(key.key.Reveal(), fmt::format("outrider {}\n{}", purpose, text))});
  }
  return macs;
}

}  // namespace outrider::crypto
