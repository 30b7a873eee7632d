// Certificates: keys and certificates for the TLS tests, made by the program `openssl` in a temporary folder.
//
// One authority and what it signed, plus one that signed itself. Throws std::runtime_error when openssl fails.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/process/temp_dir.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::testing {

class Certificates final {
 public:
  Certificates();

  std::filesystem::path authority() const { return File("authority.pem"); }
  // For the names good.test and 127.0.0.1, signed by the authority.
  RawServerOptions Good() const { return Files("good"); }
  RawServerOptions ForAnotherHost() const { return Files("other"); }  // for other.test
  RawServerOptions Expired() const { return Files("expired"); }
  RawServerOptions NotYetValid() const { return Files("future"); }
  RawServerOptions SelfSigned() const { return Files("self"); }
  RawServerOptions NameOnlyInSubject() const { return Files("subject"); }  // CN=127.0.0.1, no alternative name

 private:
  std::filesystem::path File(const std::string& name) const { return folder_.path() / name; }
  RawServerOptions Files(const std::string& name) const { return {File(name + ".pem"), File(name + ".key")}; }
  void OpenSsl(std::vector<std::string> arguments) const;
  void Request(const std::string& name, const std::string& subject) const;
  // Signs by the authority, valid from and to as YYYYMMDDHHMMSSZ.
  void Sign(const std::string& name, const std::string& alternative_names, const std::string& from = "20200101000000Z",
            const std::string& to = "20500101000000Z") const;

  TempDir folder_{"certificates"};
};

}  // namespace outrider::testing
