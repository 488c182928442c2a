"""by-cp with a real by-framework: run by `make interop`, in an environment that has one."""
