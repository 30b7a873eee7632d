// ConfigFiles: configurations as a test writes them: files in a folder of their own, read as the program reads them.
// Errors: std::runtime_error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::app {

class ConfigFiles final {
 public:
  // The file's path; a file of that name is replaced.
  std::string Write(std::string_view name, std::string_view text) const;
  // Reads `yaml` as the file outrider.yaml.
  ConfigReading Read(std::string_view yaml, std::vector<std::string> environment = {},
                     std::vector<std::string> assignments = {}) const;
  // `yaml` after the least that a configuration needs.
  ConfigReading ReadMore(std::string_view yaml, std::vector<std::string> environment = {},
                         std::vector<std::string> assignments = {}) const;
  std::string folder() const { return folder_.path().string(); }

 private:
  testing::TempDir folder_{"config"};
};

// With a database and transport direct: valid as it is.
extern const std::string kLeast;

// The value of that setting as `config show` prints it; "(absent)" when it isn't there.
std::string Shown(const ConfigReading& reading, std::string_view path);
std::string OriginOf(const ConfigReading& reading, std::string_view path);

}  // namespace outrider::app
