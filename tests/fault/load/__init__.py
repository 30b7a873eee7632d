"""The workload's parts: what is planned (plan, texts), what is done (writer), what is remembered (history)."""
