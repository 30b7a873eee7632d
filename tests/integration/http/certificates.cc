#include "tests/integration/http/certificates.h"

#include <fmt/format.h>

#include <utility>

#include "tests/support/process/child_process.h"

namespace outrider::testing {

void Certificates::OpenSsl(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "openssl");
  RunCommand({.command = std::move(arguments), .working_directory = folder_.path()}, std::chrono::seconds{60});
}

void Certificates::Request(const std::string& name, const std::string& subject) const {
  OpenSsl({"req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", "ca.cnf",
           "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + subject});
}

void Certificates::Sign(const std::string& name, const std::string& alternative_names, const std::string& from,
                        const std::string& to) const {
  // `openssl ca` is the one command of OpenSSL 3.0 that takes a validity in the past.
  std::vector<std::string> arguments = {"ca",  "-batch",      "-notext", "-config",     "ca.cnf",
                                        "-in", name + ".csr", "-out",    name + ".pem", "-startdate",
                                        from,  "-enddate",    to};
  if (!alternative_names.empty()) {
    WriteTextFile(File(name + ".ext"), "subjectAltName=" + alternative_names + "\n");
    arguments.insert(arguments.end(), {"-extfile", name + ".ext"});
  }
  OpenSsl(std::move(arguments));
}

Certificates::Certificates() {
  WriteTextFile(
      File("ca.cnf"),
      "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir=.\ndatabase=index\nserial=serial\nprivate_key=authority.key\n"
      "certificate=authority.pem\ndefault_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
      "[req]\ndistinguished_name=name\n[name]\n[root]\nbasicConstraints=critical,CA:true\n");
  WriteTextFile(File("index"), "");
  WriteTextFile(File("serial"), "01\n");
  OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", "ca.cnf",
           "-extensions", "root", "-keyout", "authority.key", "-out", "authority.pem", "-days", "3650", "-subj",
           "/CN=tests"});
  const std::string here = "DNS:good.test,IP:127.0.0.1";
  for (const char* name : {"good", "expired", "future"}) Request(name, "good.test");
  Sign("good", here);
  Sign("expired", here, "20200101000000Z", "20200102000000Z");
  Sign("future", here, "20490101000000Z", "20500101000000Z");
  Request("other", "other.test");
  Sign("other", "DNS:other.test");
  Request("subject", "127.0.0.1");
  Sign("subject", "DNS:other.test");
  OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", "ca.cnf",
           "-keyout", "self.key", "-out", "self.pem", "-days", "3650", "-subj", "/CN=127.0.0.1", "-addext",
           "subjectAltName=" + here});
}

}  // namespace outrider::testing
