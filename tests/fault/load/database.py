"""Database addresses as the command lines take them, and connections that outlive a restart of the server."""

from __future__ import annotations

import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any

import pymysql

SESSION = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"


@dataclass(frozen=True)
class Address:
    """mysql://user:password@host:port/database[?table=outbox]"""

    host: str
    port: int
    user: str
    password: str
    database: str
    table: str

    @staticmethod
    def parse(text: str) -> "Address":
        parts = urllib.parse.urlsplit(text)
        if parts.scheme != "mysql" or not parts.hostname or not parts.path.strip("/"):
            raise ValueError("an address has the form mysql://user:password@host:port/database[?table=outbox]")
        query = urllib.parse.parse_qs(parts.query)
        table = query.get("table", ["outbox"])[0]
        if not table.replace("_", "").isalnum():
            raise ValueError("a table's name has letters, digits and underscores")
        return Address(
            parts.hostname,
            parts.port or 3306,
            urllib.parse.unquote(parts.username or ""),
            urllib.parse.unquote(parts.password or ""),
            parts.path.strip("/"),
            table,
        )

    def connect(self, timeout_s: int = 15, **options: Any) -> pymysql.connections.Connection:
        connection = pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.database,
            charset="utf8mb4",
            autocommit=False,
            connect_timeout=5,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            init_command=SESSION,
            **options,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return connection


def named_address(text: str) -> tuple[str, Address]:
    """NAME=mysql://..."""
    name, found, address = text.partition("=")
    if not found or not name:
        raise ValueError("expected NAME=mysql://...")
    return name, Address.parse(address)


def connect_again(address: Address, stop: threading.Event) -> pymysql.connections.Connection | None:
    """Tries until the server is there, or until `stop`."""
    while not stop.is_set():
        try:
            return address.connect()
        except pymysql.MySQLError:
            stop.wait(0.1)
    return None
