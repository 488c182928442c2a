"""Tests of the manager: controller, gate, sweeper, providers."""
