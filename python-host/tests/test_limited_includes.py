"""Relations that are loaded with a limit and an offset for each row."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation

pytestmark = pytest.mark.usefixtures("db")


class Genre(enum.Enum):
    JAZZ = "jazz"
    FOLK = "folk"


class Artist(ferro.Model, table="limits_artist"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    songs: Relation[list[Song]] = BackRef()


class Song(ferro.Model, table="limits_song"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    title: str
    plays: int | None = None
    artist: Relation[Artist] = ForeignKey(related_name="songs")
    lists: Relation[list[Playlist]] = BackRef()
    notes: Relation[list[Remark]] = BackRef()


class Playlist(ferro.Model, table="limits_list"):
    genre: Genre = ferro.Field(primary_key=True)
    songs: Relation[list[Song]] = ManyToMany(related_name="lists")


class Remark(ferro.Model, table="limits_remark"):
    song: Relation[Song] = ForeignKey(related_name="notes", primary_key=True)
    number: int = ferro.Field(primary_key=True)


async def songs() -> dict[str, Song]:
    """Five songs of Ada, two of Ben, none of Cyd; all but "b" are jazz, and two are folk."""
    ada, ben = await Artist.create(name="Ada"), await Artist.create(name="Ben")
    await Artist.create(name="Cyd")
    plays = {"a": 3, "b": 5, "c": None, "d": 5, "e": 1, "x": 2, "y": 9}
    made = {
        title: await Song.create(title=title, plays=count, artist=ada if title < "x" else ben)
        for title, count in plays.items()
    }
    jazz, folk = await Playlist.create(genre=Genre.JAZZ), await Playlist.create(genre=Genre.FOLK)
    await jazz.songs.add(*(it for title, it in made.items() if title != "b"))
    await folk.songs.add(made["b"], made["d"])
    return made


async def titles(rows: Any) -> list[list[str]]:
    found = await Artist.select().include(songs=rows).order_by("id")
    return [[song.title for song in artist.songs] for artist in found]


async def test_a_limit_counts_for_each_row() -> None:
    await songs()
    assert await titles(Song.select().limit(2)) == [["a", "b"], ["x", "y"], []]
    by_plays = Song.select().order_by("-plays", "-title")
    assert await titles(by_plays.limit(3)) == [["d", "b", "a"], ["y", "x"], []]
    assert await titles(by_plays.offset(1).limit(2)) == [["b", "a"], ["x"], []]
    assert await titles(by_plays.offset(3)) == [["e", "c"], [], []]
    assert await titles(by_plays.limit(0)) == [[], [], []]
    jazz = by_plays.where(lambda s: s.lists.any(genre=Genre.JAZZ) & (s.plays < 9))
    assert await titles(jazz.limit(2)) == [["d", "a"], ["x"], []]
    assert await titles(Song.where(lambda s: s.artist.name == "Ada").limit(1)) == [["a"], [], []]
    assert await titles(by_plays.distinct().limit(1)) == [["d"], ["y"], []]


async def test_the_parents_may_be_limited_too() -> None:
    await songs()
    rows = Artist.where(Artist.name > "A").order_by("-name").offset(1).limit(2)
    found = await rows.include(songs=Song.select().limit(1).order_by("-id"))
    assert [[song.title for song in it.songs] for it in found] == [["y"], ["e"]]
    assert all(it.songs[0].artist is it for it in found), "and the way back is known"
    one = await Artist.select().include(songs=Song.select().limit(1)).first()
    assert one is not None
    assert [it.title for it in one.songs] == ["a"]


async def test_through_a_table_of_pairs() -> None:
    made = await songs()
    lists = Playlist.select().order_by("genre")
    by_plays = Song.select().order_by("-plays", "title")
    jazz, folk = await lists.include(songs=by_plays.limit(3))
    assert [it.title for it in jazz.songs] == ["y", "d", "a"]
    assert [it.title for it in folk.songs] == ["b", "d"]
    assert jazz.songs[1] is folk.songs[1], "a row that both lead to is one object"
    jazz, folk = await lists.include(songs=by_plays.offset(1).limit(1))
    assert [[it.title for it in each.songs] for each in (jazz, folk)] == [["d"], ["d"]]
    found = await Song.where(Song.title < "c").include(lists=Playlist.select().limit(1))
    assert [[it.genre for it in song.lists] for song in found] == [[Genre.JAZZ], [Genre.FOLK]]
    assert made["b"].id is not None


async def test_further_relations_are_loaded_with_them() -> None:
    made = await songs()
    await Remark.bulk_create(
        [Remark(song=song, number=it) for song in made.values() for it in (1, 2, 3)]
    )
    latest = Remark.select().order_by("-number").limit(2)
    some = Song.select().include(notes=latest).order_by("-id").limit(2)
    found = await Artist.select().include(songs=some).order_by("id")
    assert [[(it.title, [n.number for n in it.notes]) for it in a.songs] for a in found] == [
        [("e", [3, 2]), ("d", [3, 2])],
        [("y", [3, 2]), ("x", [3, 2])],
        [],
    ]
    found = await (
        Artist.select().include("songs.lists", songs=Song.select().limit(1)).order_by("id")
    )
    assert [[it.genre for song in a.songs for it in song.lists] for a in found] == [
        [Genre.JAZZ],
        [Genre.JAZZ],
        [],
    ]
    (jazz,) = await Playlist.where(genre=Genre.JAZZ).include(songs=some)
    assert [(it.title, len(it.notes)) for it in jazz.songs] == [("y", 2), ("x", 2)]


async def test_in_a_session_and_a_transaction() -> None:
    made = await songs()
    async with ferro.session(), ferro.transaction() as transaction:
        known = await Song.get(made["b"].id)
        known.artist_id = 99  # type: ignore[attr-defined]
        some = Song.select().order_by("-plays", "title").limit(1)
        artists = await Artist.using(transaction).select().include(songs=some).order_by("id")
        assert artists[0].songs[0] is known
        folk = await Playlist.where(genre=Genre.FOLK).include(songs=some).one()
        assert folk.songs[0] is known
        assert known.artist_id == 99  # type: ignore[attr-defined]


async def test_what_cannot_be_limited_is_refused() -> None:
    for limited in (Artist.select().limit(1), Artist.select().offset(1)):
        with pytest.raises(ferro.InvalidQuery, match=r"`Song\.artist` leads to one row: leave out"):
            Song.select().include(artist=limited)
    with pytest.raises(ferro.InvalidQuery, match="does not lock the rows: leave out `for_update`"):
        Artist.select().include(songs=Song.select().for_update().limit(1))
    with pytest.raises(ferro.InvalidQuery, match=r"takes a query of `Song`"):
        Artist.select().include(songs=Artist.select().limit(1))
