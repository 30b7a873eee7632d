// What this process and this machine use, as the operating system accounts for it. Any thread.
#pragma once

namespace outrider::app {

double CpuSeconds();  // of this process, all threads
double Load();        // the machine's, over a minute
double RssMib();
// The most since ForgetPeakRss(), which also gives back to the system what is free.
double PeakRssMib();
void ForgetPeakRss();

}  // namespace outrider::app
