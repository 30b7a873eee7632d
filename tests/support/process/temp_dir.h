// TempDir: a fresh folder under /tmp, removed with all it holds on destruction.
//
// Always /tmp: socket files live here too, and their paths must stay short. Movable. What a killed program leaves
// stays.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace outrider::testing {

class TempDir final {
 public:
  // ${OUTRIDER_TEST_TMP:-/tmp}/outrider-<purpose>-XXXXXX; throws std::runtime_error
  explicit TempDir(std::string_view purpose = "test");
  ~TempDir();
  TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempDir& operator=(TempDir&&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string ReadTextFile(const std::filesystem::path& file);  // empty when it can't be read
void WriteTextFile(const std::filesystem::path& file, std::string_view text);

}  // namespace outrider::testing
