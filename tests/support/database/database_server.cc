#include "tests/support/database/database_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "tests/support/database/data_template.h"
#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::chrono::minutes kPrepareTimeout{10};
constexpr int kPortTries = 3;

// One statement a line, as both servers read init files.
constexpr std::string_view kUsers =
    "CREATE USER IF NOT EXISTS 'outrider'@'%' IDENTIFIED BY 'outrider';\n"
    "GRANT ALL ON *.* TO 'outrider'@'%' WITH GRANT OPTION;\n";

struct Program {
  std::vector<std::string> command;  // with what it needs to run at all
  fs::path data_template;
};

std::string FirstWordWithDigit(const std::string& text) {
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string::npos) return "unknown";
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

Program MariaDb() {
  const std::string version = FirstWordWithDigit(RunCommand({.command = {"mariadbd", "--version"}}, kStartTimeout));
  std::vector<std::string> command = {"mariadbd", "--no-defaults", "--innodb-log-file-size=16M"};
  if (geteuid() == 0) command.push_back("--user=root");
  const auto initialise = [&](const fs::path& folder) {
    std::vector<std::string> install = {"mariadb-install-db",
                                        "--no-defaults",
                                        "--datadir=" + folder.string(),
                                        "--skip-test-db",
                                        "--auth-root-authentication-method=normal",
                                        "--innodb-log-file-size=16M"};
    if (geteuid() == 0) install.push_back("--user=root");
    RunCommand({.command = install}, kPrepareTimeout);
  };
  return {command, DataTemplate("mariadb-template-" + version, initialise)};
}

Program Mysql() {
  std::string tree = RunCommand({.command = {FETCH_MYSQL}}, kPrepareTimeout);
  tree.erase(tree.find_last_not_of('\n') + 1);
  std::string version = ReadTextFile(fs::path(tree) / "version");
  version.erase(version.find_last_not_of('\n') + 1);
  const std::vector<std::string> command = {tree + "/run-mysqld", "--innodb-redo-log-capacity=16M", "--mysqlx=OFF"};
  const auto initialise = [&](const fs::path& folder) {
    std::vector<std::string> install = command;
    install.push_back("--initialize-insecure");
    install.push_back("--datadir=" + folder.string());
    RunCommand({.command = install}, kPrepareTimeout);
  };
  return {command, DataTemplate("mysql-template-" + version, initialise)};
}

std::string LastLines(const std::string& text) {
  constexpr std::size_t kBytes = 2000;
  return text.size() <= kBytes ? text : text.substr(text.size() - kBytes);
}

}  // namespace

DatabaseServer::Kind DatabaseServer::KindFromEnvironment() {
  const char* const value = std::getenv("OUTRIDER_TEST_DB");
  const std::string_view name = value == nullptr || *value == '\0' ? "mariadb" : value;
  if (name == "mariadb") return Kind::kMariaDb;
  if (name == "mysql") return Kind::kMysql;
  throw std::runtime_error(fmt::format("OUTRIDER_TEST_DB is \"{}\"; it must be mariadb or mysql", name));
}

std::unique_ptr<DatabaseServer> DatabaseServer::Start(Kind kind, std::vector<std::string> server_options) {
  return std::unique_ptr<DatabaseServer>(new DatabaseServer(kind, std::move(server_options)));
}

DatabaseServer& DatabaseServer::Shared() {
  static const std::unique_ptr<DatabaseServer> server = Start(KindFromEnvironment());
  return *server;
}

DatabaseServer::DatabaseServer(Kind kind, std::vector<std::string> server_options)
    : kind_(kind), server_options_(std::move(server_options)), folder_("db") {
  const Program program = kind == Kind::kMariaDb ? MariaDb() : Mysql();
  const fs::path folder = folder_.path();
  fs::copy(program.data_template, folder / "data", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  WriteTextFile(folder / "users.sql", kUsers);
  command_ = program.command;
  for (const std::string& option : {
           "--datadir=" + (folder / "data").string(),
           "--socket=" + (folder / "socket").string(),
           "--pid-file=" + (folder / "pid").string(),
           "--init-file=" + (folder / "users.sql").string(),
           "--tmpdir=" + folder.string(),
           "--secure-file-priv=" + folder.string(),
           std::string("--bind-address=127.0.0.1"),
           std::string("--skip-name-resolve"),
           std::string("--skip-log-bin"),
           std::string("--performance-schema=OFF"),
           std::string("--max-connections=400"),
           std::string("--innodb-buffer-pool-size=64M"),
       }) {
    command_.push_back(option);
  }
  // Somebody else may take the port between our look and the server's start.
  for (int i = 1;; ++i) {
    port_ = FreePort();
    try {
      Launch();
      return;
    } catch (const std::runtime_error&) {
      if (i == kPortTries) throw;
      process_.reset();
    }
  }
}

DatabaseServer::~DatabaseServer() = default;

void DatabaseServer::Launch() {
  std::vector<std::string> command = command_;
  command.push_back(fmt::format("--port={}", port_));
  command.insert(command.end(), server_options_.begin(), server_options_.end());
  process_.emplace(ChildOptions{.command = command, .output_directory = folder_.path()});
  std::string last_answer;
  const bool answers = WaitUntil(
      [&] {
        if (!process_->Running()) return true;
        const auto connection = mysql::MysqlConnection::Open(Options(""));
        if (!connection) last_answer = connection.error().message;
        return connection.has_value();
      },
      kStartTimeout);
  if (answers && process_->Running()) return;
  throw std::runtime_error(fmt::format("the test database server didn't start ({}). Its log ends so:\n{}", last_answer,
                                       LastLines(process_->Stderr())));
}

std::string DatabaseServer::Url(std::string_view database) const {
  return fmt::format("mysql://outrider:outrider@127.0.0.1:{}/{}", port_, database);
}

mysql::MysqlOptions DatabaseServer::Options(std::string_view database) const {
  mysql::MysqlOptions options;
  options.host = "127.0.0.1";
  options.port = port_;
  options.user = "outrider";
  options.password = Secret("outrider");
  options.database = database;
  return options;
}

std::string DatabaseServer::CreateDatabase() const {
  std::random_device random;
  const std::string name = fmt::format("test_{:08x}{:08x}", random(), random());
  auto connection = mysql::MysqlConnection::Open(Options(""));
  if (!connection) throw std::runtime_error(connection.error().message);
  if (auto created = (*connection)->ExecuteScript("CREATE DATABASE " + name); !created) {
    throw std::runtime_error(created.error().message);
  }
  return Url(name);
}

void DatabaseServer::Stop() {
  if (process_) process_->Terminate(kStartTimeout);
}

void DatabaseServer::Kill() {
  if (process_) process_->Kill();
}

void DatabaseServer::Pause() { process_->Pause(); }
void DatabaseServer::Continue() { process_->Continue(); }

void DatabaseServer::Restart() {
  Stop();
  process_.reset();
  Launch();
}

void DatabaseServer::Restart(std::vector<std::string> server_options) {
  server_options_ = std::move(server_options);
  Restart();
}

}  // namespace outrider::testing
