#!/usr/bin/python3
"""A shop that tells its team about orders: all that an application does for Outrider is one INSERT.

Places one order, and one whose payment is refused. An order and the request to tell people about it are written in the
same transaction: either both are there, or neither is.
"""
import argparse
import json
import pathlib

import pymysql

# The shop's own migration. Its outbox table comes from `outrider migrate up`.
ORDERS = """
CREATE TABLE IF NOT EXISTS orders (
  number INT          NOT NULL PRIMARY KEY,
  item   VARCHAR(191) NOT NULL
) DEFAULT CHARSET=utf8mb4
"""


class PaymentRefused(Exception):
    pass


def pay(item: str) -> None:
    if item == "a lamp":
        raise PaymentRefused("the payment was refused")


def place_order(connection, number: int, item: str) -> None:
    request = {
        "dedupe_key": f"order-{number}",
        "channel": "shop-orders",
        "message": {"title": f"订单 {number} · New order", "text": f"{item} 🎉"},
        "metadata": {"order_id": str(number)},
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders (number, item) VALUES (%s, %s)", (number, item))
            cursor.execute(
                "INSERT INTO outbox (aggregateid, payload) VALUES (%s, %s)",
                (f"order-{number}", json.dumps(request, ensure_ascii=False)),
            )
        pay(item)
        connection.commit()
        print(f"order {number}: committed")
    except PaymentRefused as refusal:
        connection.rollback()
        print(f"order {number}: rolled back, {refusal}")


def next_number(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(number), 1000) + 1 FROM orders")
        number = int(cursor.fetchone()[0])
    connection.commit()
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--user", default="shop")
    parser.add_argument("--password-file", type=pathlib.Path, required=True)
    parser.add_argument("--database", default="shop")
    arguments = parser.parse_args()
    connection = pymysql.connect(
        host=arguments.host,
        port=arguments.port,
        user=arguments.user,
        password=arguments.password_file.read_text().strip(),
        database=arguments.database,
        charset="utf8mb4",
        autocommit=False,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(ORDERS)
        number = next_number(connection)
        place_order(connection, number, "一本书 · a book")
        place_order(connection, number + 1, "a lamp")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
