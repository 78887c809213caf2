"""Snakemake's logger plugin `tenfold`: what runs, what is done, and about how long the rest takes."""

from snakemake_logger_plugin_tenfold.handler import LogHandler

__all__ = ["LogHandler"]
