"""The OCI seccomp agent: containers whose listeners their runtimes hand over."""
