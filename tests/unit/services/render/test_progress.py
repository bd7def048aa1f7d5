"""Progress for a slow reader."""

from __future__ import annotations

import asyncio

from services.render.progress import Board, State


async def test_only_the_newest_and_never_falling() -> None:
    board = Board()
    board.tell(State(position=3))
    board.tell(State("paint", 0.5))
    board.tell(State("paint", 0.25, seconds=2.0))
    assert await board.next() == State("paint", 0.5, seconds=2.0)
    waiting = asyncio.create_task(board.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    board.tell(State("encode", 0.4))
    assert await waiting == State("encode", 0.5)


async def test_the_end_comes_after_the_last_news() -> None:
    board = Board()
    board.tell(State("encode", 1.0))
    board.close()
    assert await board.next() == State("encode", 1.0)
    assert await board.next() is None
    assert await board.next() is None


async def test_the_end_wakes_who_waits() -> None:
    board = Board()
    waiting = asyncio.create_task(board.next())
    await asyncio.sleep(0)
    board.close()
    assert await waiting is None
