#include "tests/support/process/temp_dir.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace outrider::testing {

TempDir::TempDir(std::string_view purpose) {
  const char* const parent = std::getenv("OUTRIDER_TEST_TMP");
  std::string name = fmt::format("{}/outrider-{}-XXXXXX", parent == nullptr ? "/tmp" : parent, purpose);
  if (mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error(fmt::format("can't make a folder {}: {}", name, std::strerror(errno)));
  }
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string ReadTextFile(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

void WriteTextFile(const std::filesystem::path& file, std::string_view text) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << text;
  stream.close();
  if (!stream) throw std::runtime_error(fmt::format("can't write {}", file.string()));
}

}  // namespace outrider::testing
