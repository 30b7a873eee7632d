#!/usr/bin/python3
"""A shop that tells its team about orders: all that an application has to do for Outrider is one INSERT.

    shop.py --port PORT --socket-free: see --help

The order and the notification request are written in the same transaction: either both are there, or neither is.
"""
import argparse
import json

import pymysql


def place_order(connection, order_id: str, item: str, fail: bool = False) -> None:
    """Stores an order and asks for a notification about it; with `fail` something goes wrong before the commit."""
    request = {
        "dedupe_key": f"order-{order_id}",
        "channel": "shop-orders",
        "message": {"title": f"订单 {order_id} · New order", "text": f"{item} 🎉"},
        "metadata": {"order_id": order_id},
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders (id, item) VALUES (%s, %s)", (order_id, item))
            cursor.execute(
                "INSERT INTO outbox (aggregateid, payload) VALUES (%s, %s)",
                (f"order-{order_id}", json.dumps(request, ensure_ascii=False)),
            )
        if fail:
            raise RuntimeError("the payment was refused")
        connection.commit()
        print(f"  order {order_id}: committed")
    except RuntimeError as error:
        connection.rollback()
        print(f"  order {order_id}: rolled back, {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Places one order, and one that fails.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="shop")
    parser.add_argument("--password", default="shop")
    parser.add_argument("--database", default="shop")
    arguments = parser.parse_args()
    connection = pymysql.connect(
        host=arguments.host,
        port=arguments.port,
        user=arguments.user,
        password=arguments.password,
        database=arguments.database,
        charset="utf8mb4",
        autocommit=False,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COALESCE(MAX(number), 1000) FROM orders")
            last = int(cursor.fetchone()[0])
        connection.commit()
        place_order(connection, str(last + 1), "一本书 · a book")
        place_order(connection, str(last + 2), "a lamp", fail=True)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
