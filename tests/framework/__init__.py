"""Tests of the framework side: what callers import, and what they are told."""
