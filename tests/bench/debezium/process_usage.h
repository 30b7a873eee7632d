// ProcessUsage: what a running process has used so far, as /proc tells.
#pragma once

#include <sys/types.h>

namespace outrider::bench {

double CpuSeconds(pid_t pid);  // user and system, all threads
double PeakRssMib(pid_t pid);
double Load();  // of the machine, one minute's

}  // namespace outrider::bench
