// Reads one payload a line and prints what ParseRequest says of each: "valid", or its faults.
#include <iostream>
#include <string>

#include "model/request.h"

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string payload; std::getline(std::cin, payload);) {
    const outrider::RequestReading reading = outrider::ParseRequest(payload);
    std::cout << (reading.request ? "valid" : outrider::Describe(reading.faults)) << '\n';
  }
}
