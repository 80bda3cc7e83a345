"""The page on architecture shows the rooms and arrows that the code has."""

import re

import rooms

PAGE = rooms.PAGE.read_text("utf-8")


def test_the_picture_is_that_of_the_code():
    assert rooms.written(PAGE, rooms.arrows()) == PAGE, "the imports have changed: run `make graph`"


def test_the_picture_leaves_out_only_what_other_arrows_say():
    arrows = rooms.arrows()
    drawn = rooms.drawn(arrows)

    assert rooms.reach(drawn) == rooms.reach(arrows)
    assert not any(one == other for one, other in rooms.reach(arrows)), "there is a circle"


def test_a_new_arrow_changes_the_picture():
    assert "    receiver.durable --> pipelines.core\n" in rooms.picture({("receiver.durable", "pipelines.core")})
    assert rooms.drawn({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


def test_every_room_is_explained():
    chapter = PAGE.partition("## The rooms\n")[2].partition("\n## ")[0]
    explained = {
        name.removesuffix("/").removesuffix(".py").replace("/", ".")
        for row in re.findall(r"^\| (`.*?) \|", chapter, re.M)
        for name in re.findall(r"`(.*?)`", row)
    }

    assert explained == {each for arrow in rooms.arrows() for each in arrow}
