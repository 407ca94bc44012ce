"""Texts and models for tests."""
