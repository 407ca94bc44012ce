"""Texts become ids."""
