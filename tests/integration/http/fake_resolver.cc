#include "tests/integration/http/fake_resolver.h"

#include <dlfcn.h>
#include <netdb.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string_view>

namespace outrider::testing {
namespace {

struct Names {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<std::string>> addresses;
  std::set<std::string> blocked;
  std::map<std::string, std::size_t> lookups;
};

Names& TheNames() {
  static Names& names = *new Names;  // a blocked look-up may outlive main
  return names;
}

using Lookup = int (*)(const char*, const char*, const addrinfo*, addrinfo**);

Lookup SystemLookup() {
  static const auto lookup = reinterpret_cast<Lookup>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return lookup;
}

int LookUp(const std::string& name, const char* service, const addrinfo* hints, addrinfo** result) {
  std::vector<std::string> addresses;
  {
    Names& names = TheNames();
    std::unique_lock lock(names.mutex);
    ++names.lookups[name];
    names.changed.notify_all();
    names.changed.wait(lock, [&] { return !names.blocked.contains(name); });
    const auto found = names.addresses.find(name);
    if (found == names.addresses.end()) return EAI_NONAME;
    addresses = found->second;
  }
  addrinfo numeric = hints == nullptr ? addrinfo{} : *hints;
  numeric.ai_flags |= AI_NUMERICHOST;
  *result = nullptr;
  addrinfo** end = result;
  for (const std::string& address : addresses) {
    if (SystemLookup()(address.c_str(), service, &numeric, end) != 0) continue;  // of the other family
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  return *result == nullptr ? EAI_NONAME : 0;
}

}  // namespace

void FakeResolver::Set(const std::string& name, std::vector<std::string> addresses) {
  const std::lock_guard lock(TheNames().mutex);
  TheNames().addresses[name] = std::move(addresses);
}

void FakeResolver::Block(const std::string& name) {
  const std::lock_guard lock(TheNames().mutex);
  TheNames().blocked.insert(name);
}

bool FakeResolver::WaitForLookups(const std::string& name, std::size_t count) {
  Names& names = TheNames();
  std::unique_lock lock(names.mutex);
  return names.changed.wait_for(lock, std::chrono::seconds{30}, [&] { return names.lookups[name] >= count; });
}

void FakeResolver::Clear() {
  Names& names = TheNames();
  const std::lock_guard lock(names.mutex);
  names.addresses.clear();
  names.blocked.clear();
  names.lookups.clear();
  names.changed.notify_all();
}

}  // namespace outrider::testing

// Found before the C library's, because the program comes first where names are looked up.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** result) noexcept(noexcept(::getaddrinfo(nullptr, nullptr, nullptr, nullptr))) {
  using namespace outrider::testing;
  if (name != nullptr && std::string_view(name).ends_with(".test")) return LookUp(name, service, hints, result);
  return SystemLookup()(name, service, hints, result);
}
