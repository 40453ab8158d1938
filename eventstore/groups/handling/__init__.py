"""Handlers: what they may be, how they are called, what they are told and may say."""
