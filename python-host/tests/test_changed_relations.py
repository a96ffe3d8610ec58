"""Changes of which rows belong to a relation: by keys."""

from __future__ import annotations

import enum
import uuid
from typing import Any

import pytest

import ferro
from ferro import BackRef, ForeignKey, ManyToMany, Relation

pytestmark = pytest.mark.usefixtures("db")


class KeyedMood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class KeyedAlbum(ferro.Model, table="keyed_album"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    songs: Relation[list[KeyedSong]] = ManyToMany(related_name="albums")
    moods: Relation[list[KeyedTag]] = ManyToMany(related_name="albums")
    labels: Relation[list[KeyedLabel]] = ManyToMany(related_name="albums")
    photos: Relation[list[KeyedPhoto]] = BackRef()
    discs: Relation[list[KeyedDisc]] = BackRef()


class KeyedSong(ferro.Model, table="keyed_song"):
    id: uuid.UUID = ferro.Field(default_factory=uuid.uuid4, primary_key=True)
    albums: Relation[list[KeyedAlbum]] = BackRef()


class KeyedTag(ferro.Model, table="keyed_tag"):
    mood: KeyedMood = ferro.Field(primary_key=True)


class KeyedLabel(ferro.Model, table="keyed_label"):
    name: str = ferro.Field(primary_key=True)


class KeyedPhoto(ferro.Model, table="keyed_photo"):
    id: int | None = ferro.Field(default=None, primary_key=True)
    album: Relation[KeyedAlbum | None] = ForeignKey(related_name="photos", default=None)
    version: int = ferro.Field(default=1, version=True)


class KeyedDisc(ferro.Model, table="keyed_disc"):
    shelf: int = ferro.Field(primary_key=True)
    place: str = ferro.Field(primary_key=True)
    album: Relation[KeyedAlbum | None] = ForeignKey(related_name="discs", default=None)


async def test_rows_of_pairs_are_given_by_key() -> None:
    album = await KeyedAlbum.create()
    first, second, third = [await KeyedSong.create() for _ in range(3)]
    await album.songs.add(first.id, second, second.id)
    assert await album.songs.order_by("id") == sorted((first, second), key=lambda it: it.id)
    await album.songs.remove(first.id, third.id)
    assert await album.songs.all() == [second]
    await album.songs.set([third.id, first])
    assert await album.songs.count() == 2
    await album.songs.set(it.id for it in (third, second))
    assert {it.id for it in await album.songs} == {third.id, second.id}
    assert album.id is not None
    await first.albums.add(album.id)
    assert await album.songs.count() == 3
    async with ferro.transaction() as transaction:
        await album.songs.using(transaction).set([first.id])
    assert await album.songs.all() == [first]
    with pytest.raises(ferro.ForeignKeyViolation):
        await album.songs.add(uuid.uuid4())


async def test_rows_that_hold_the_key_are_given_by_theirs() -> None:
    album = await KeyedAlbum.create()
    first, second, third = [await KeyedPhoto.create() for _ in range(3)]
    assert first.id is not None
    assert third.id is not None
    await album.photos.add(first.id, second)
    assert await album.photos.order_by("id") == [await KeyedPhoto.get(first.id), second]
    assert (first.album_id, second.album_id) == (None, album.id)  # type: ignore[attr-defined]
    await album.photos.remove(first.id, second)
    assert await album.photos.count() == 0
    assert second.album_id is None  # type: ignore[attr-defined]
    await album.photos.set([first.id, third])
    await album.photos.set([third.id])
    assert [it.id for it in await album.photos] == [third.id]
    with pytest.raises(ferro.DoesNotExist, match="a `KeyedPhoto` that was added no longer exists"):
        await album.photos.add(1_000)
    assert [it.id for it in await album.photos.all()] == [third.id]


async def test_a_row_that_is_given_twice_is_changed_once() -> None:
    album, photo = await KeyedAlbum.create(), await KeyedPhoto.create()
    await album.photos.add(photo, photo, photo.id)  # type: ignore[arg-type]
    assert photo.version == (await KeyedPhoto.get(photo.id)).version == 2
    await photo.save()


async def test_what_is_no_list_is_refused() -> None:
    album, tag = await KeyedAlbum.create(), await KeyedLabel.create(name="new")
    for given in (tag, {"new": tag}, "new"):
        with pytest.raises(ferro.InvalidQuery, match="`rows` takes a list, not `"):
            await album.labels.set(given)  # type: ignore[arg-type]


async def test_keys_of_several_fields_are_tuples() -> None:
    album = await KeyedAlbum.create()
    discs = [await KeyedDisc.create(shelf=number, place="a") for number in range(3)]
    await album.discs.add((0, "a"), discs[1])
    assert [it.shelf for it in await album.discs.order_by("shelf")] == [0, 1]
    await album.discs.set([(1, "a"), (2, "a")])
    assert [it.shelf for it in await album.discs.order_by("shelf")] == [1, 2]
    await album.discs.remove((2, "a"))
    assert [it.shelf for it in await album.discs.all()] == [1]
    wrong: list[tuple[Any, str]] = [
        (1, "the key of `KeyedDisc` is a tuple of `shelf`, `place`"),
        ((1,), "the key of `KeyedDisc` is a tuple of `shelf`, `place`"),
        (("1", "a"), "`KeyedDisc.shelf` takes an int, not `str`"),
        ((1, None), "leads to `KeyedDisc`, not to"),
        ((1, KeyedDisc.place), "leads to `KeyedDisc`, not to"),
    ]
    for given, message in wrong:
        with pytest.raises(ferro.FerroError, match=message):
            await album.discs.add(given)


async def test_members_of_enums_are_given_by_value_too() -> None:
    album = await KeyedAlbum.create()
    for mood in KeyedMood:
        await KeyedTag.create(mood=mood)
    await album.moods.add(KeyedMood.CALM, "calm")
    await album.moods.set(["calm", KeyedMood.WILD])
    assert await album.moods.count() == 2
    await album.moods.remove("wild")
    assert [it.mood for it in await album.moods] == [KeyedMood.CALM]
    with pytest.raises(ferro.TypeMismatch, match="`KeyedTag.mood` takes a `KeyedMood`, and this"):
        await album.moods.add("sad")


async def test_what_is_no_key_of_the_target_changes_nothing() -> None:
    album, song, photo = (
        await KeyedAlbum.create(),
        await KeyedSong.create(),
        await KeyedPhoto.create(),
    )
    await album.songs.add(song)
    await album.photos.add(photo)
    is_uuid, is_int = "`KeyedSong.id` takes a UUID, not", "`KeyedPhoto.id` takes an int, not"
    wrong: list[tuple[Any, Any, str]] = [
        (album.songs, str(song.id), f"{is_uuid} `str`"),
        (album.songs, 1, f"{is_uuid} `int`"),
        (album.songs, [song.id], f"{is_uuid} `list`"),
        (album.songs, (song.id,), f"{is_uuid} `tuple`"),
        (album.photos, "1", f"{is_int} `str`"),
        (album.photos, 1.0, f"{is_int} `float`"),
        (album.photos, True, f"{is_int} `bool`"),
        (album.songs, None, "leads to `KeyedSong`, not to `None`"),
        (album.songs, photo, "leads to `KeyedSong`, not to `KeyedPhoto`"),
        (album.songs, KeyedSong.where(), "leads to `KeyedSong`, not to"),
        (album.songs, KeyedSong.id, "leads to `KeyedSong`, not to"),
        (album.songs, lambda s: s.id, "leads to `KeyedSong`, not to a function"),
        (album.photos, photo.album, "leads to `KeyedPhoto`, not to"),
    ]
    for relation, given, message in wrong:
        for change in (relation.add, relation.remove, lambda it, of=relation: of.set([it])):
            with pytest.raises(ferro.FerroError, match=message):
                await change(given)
    with pytest.raises(ferro.ValueOutOfRange, match=r"`KeyedPhoto\.id` takes an int of at most"):
        await album.photos.add(2**70)
    with pytest.raises(ferro.InvalidQuery, match="`rows` takes a list, not `str`"):
        await album.labels.set("ab")
    assert await album.songs.all() == [song]
    assert [it.id for it in await album.photos.all()] == [photo.id]
