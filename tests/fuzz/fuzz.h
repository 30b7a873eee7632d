// What the fuzz targets share: the entry that libFuzzer and replay.cc call, and a claim that ends the process when it
// is false. Each target is one .cc with one entry; its first lines say how an input is laid out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace outrider::fuzz {

// What must not come out again. Letters and digits, so that no mask and no escaping makes it by chance.
inline constexpr std::string_view kCanary = "CANARY0secret";

inline void Claim(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline std::string_view InputText(const std::uint8_t* data, std::size_t size) {
  return size == 0 ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(data), size);
}

// The part in front of `mark`, which is taken off `rest` with it; all of it when there is no mark.
inline std::string_view TakePart(std::string_view& rest, std::string_view mark) {
  const std::size_t at = rest.find(mark);
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + mark.size());
  return part;
}

}  // namespace outrider::fuzz
