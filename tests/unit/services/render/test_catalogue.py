"""The catalogue: what is served, and that a broken file stops the start with its name and the field."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mesh.errors import ConfigError, Invalid
from services.render import catalogue, fonts, recipe
from services.render.catalogue import BUILTIN, Catalogue
from services.render.scene import LOCALES
from services.render.scene_file import MOST_PREVIEW_BYTES, SceneError
from services.render.steps import asset

BUILT = Catalogue.load()


def test_there_are_enough_scenes_of_each_kind() -> None:
    kinds = Counter(scene.kind for scene in BUILT.scenes())
    assert kinds["milestone"] >= 4
    assert kinds["portrait"] >= 2
    assert kinds["enhance"] >= 2


def test_every_scene_is_complete_and_localized() -> None:
    for scene in BUILT.scenes():
        names = [step.name for step in scene.recipe]
        assert names[:2] == ["decode", "orient"]
        assert names[-1] == "encode"
        assert set(names) <= set(recipe.STEPS)
        assert set(scene.title) == set(LOCALES)
        assert bool(scene.captions) == (scene.kind == "milestone")
        for texts in scene.captions.values():
            assert set(texts) == set(LOCALES)


def test_unknown_scene_and_caption_are_refused() -> None:
    with pytest.raises(Invalid) as scene:
        BUILT.get("six_months_but_different")
    assert (scene.value.reason, scene.value.field) == ("UNKNOWN_SCENE", "scene_id")
    moon = BUILT.get("moonlit_hills")
    with pytest.raises(Invalid) as caption:
        moon.caption("happy birthday Anna", "en")
    assert (caption.value.reason, caption.value.field) == ("UNKNOWN_CAPTION", "caption_id")
    assert "Anna" not in str(caption.value)
    with pytest.raises(Invalid):
        BUILT.get("soft_background").caption("six_months", "en")


@pytest.mark.parametrize(
    ("caption", "locale", "text"),
    [
        ("", "", "six months"),
        ("six_months", "fr-CA", "six mois"),
        ("two_months", "de_AT", "zwei Monate"),
        ("first_tooth", "ES", "primer diente"),
        ("newborn", "ja", "hello, world"),
    ],
)
def test_a_caption_comes_in_the_callers_language_or_english(caption: str, locale: str, text: str) -> None:
    assert BUILT.get("moonlit_hills").caption(caption, locale) == text


def test_every_typeface_has_every_letter_of_every_caption() -> None:
    letters = {letter for scene in BUILT.scenes() for texts in scene.captions.values() for text in texts.values()
               for letter in text + text.upper()} - {" "}  # fmt: skip
    assert {"ñ", "ü", "é"} <= letters
    for name in fonts.FACES:
        face = fonts.face(name, 40)
        missing = bytes(face.getmask("\U0010fffd"))
        assert not [letter for letter in letters if bytes(face.getmask(letter)) == missing], name


GOOD = """
kind = "enhance"
cost = "light"
min_side = 64
intent = "The photo as it is, with friendlier light."
[title]
en = "A"
fr = "B"
es = "C"
de = "D"
[[recipe]]
step = "tone"
"""


FOUR = 'en = "a"\nfr = "b"\nes = "c"\nde = "d"\n'
WORDS = 'prompt = "a quiet painted meadow"\nnegative = "letters"\n'


def _with(folder: Path, text: str) -> Path:
    (folder / "odd").mkdir()
    (folder / "odd" / "scene.toml").write_text(text, encoding="utf-8")
    shutil.copy(BUILTIN / "captions.toml", folder)
    return folder


def test_a_dropped_in_folder_is_a_scene(tmp_path: Path) -> None:
    assert Catalogue.load(_with(tmp_path, GOOD)).get("odd").title["de"] == "D"


def test_a_scene_says_what_each_engine_needs_to_know(tmp_path: Path) -> None:
    table = f'[engines]\nequivalent = ["onnx", "triton"]\n[engines.diffusers]\n{WORDS}steps = 12\n[[recipe]]'
    odd = Catalogue.load(_with(tmp_path, GOOD.replace("[[recipe]]", table))).get("odd")
    assert odd.equivalent == {"onnx", "triton"}
    assert odd.made_by("diffusers")
    assert odd.diffusion is not None
    assert (odd.diffusion.prompt, odd.diffusion.steps, odd.diffusion.mode) == ("a quiet painted meadow", 12, "around")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('kind = "enhance"', 'kind = "poster"', "kind"),
        ('cost = "light"', 'cost = "free"', "cost"),
        ("min_side = 64", "min_side = 0", "min_side"),
        ("min_side = 64", "min_side = true", "min_side"),
        ("min_side = 64", "min_side = 64\nprompt = 'a baby'", "prompt"),
        ('de = "D"', "", "title"),
        ('de = "D"', "de = 4", "title.de"),
        ("min_side = 64", 'min_side = 64\ncaptions = ["six_months"]', "captions"),
        ('kind = "enhance"', 'kind = "milestone"', "captions"),
        ('kind = "enhance"', 'kind = "milestone"\ncaptions = ["six_months", "mine"]', "captions[1]"),
        ('kind = "enhance"', 'kind = "milestone"\ncaptions = [["six_months"]]', "captions[0]"),
        ("[[recipe]]", f"[words.mine]\n{FOUR}[[recipe]]", "words.mine"),
        ("[[recipe]]", f"[words.six_months]\n{FOUR}[[recipe]]", "words.six_months"),
        ("[[recipe]]", f"[words.Mine]\n{FOUR}[[recipe]]", "words.Mine"),
        ("[[recipe]]", '[words.mine]\nen = "a"\n[[recipe]]', "words.mine"),
        ("[[recipe]]", "[words]\nmine = 3\n[[recipe]]", "words.mine"),
        ("min_side = 64", "min_side = 64\nwords = 3", "words"),
        ('step = "tone"', 'step = "polish"', "recipe[0].step"),
        ('step = "tone"', 'step = "decode"', "recipe[0].step"),
        ('step = "tone"', 'step = "tone"\nexposure = 3', "recipe[0].exposure"),
        ('step = "tone"', 'step = "tone"\nwarm = 0.1', "recipe[0].warm"),
        ('step = "tone"', 'step = "tone"\nexposure = "much"', "recipe[0].exposure"),
        ('step = "tone"', 'step = "backdrop"\nlight_color = "red"', "recipe[0].light_color"),
        ('step = "tone"', 'step = "backdrop"\nlight = [1]', "recipe[0].light"),
        ('step = "tone"', 'step = "backdrop"\nstyle = { 26 = 1 }', "recipe[0].style"),
        ('step = "tone"', 'step = "backdrop"\n[[recipe.back]]\nlayer = "sea"', "recipe[0].back[0].layer"),
        (
            'step = "tone"',
            'step = "backdrop"\n[[recipe.back]]\nlayer = "sky"\ncolors = [[0, "#000000"]]',
            "recipe[0].back[0].colors",
        ),
        (
            'step = "tone"',
            'step = "backdrop"\n[[recipe.front]]\nlayer = "balloons"\nplaces = [[0, 0, 9]]',
            "recipe[0].front[0].places[0]",
        ),
        ('[[recipe]]\nstep = "tone"', "", "recipe"),
        ('intent = "The photo as it is, with friendlier light."', "", "intent"),
        ('intent = "The photo as it is, with friendlier light."', 'intent = "short"', "intent"),
        ("[[recipe]]", "[engines.mystery]\n[[recipe]]", "engines.mystery"),
        ("[[recipe]]", '[engines]\nequivalent = ["onnx", "null"]\n[[recipe]]', "engines.equivalent"),
        ("[[recipe]]", "[engines]\ndiffusers = 1\n[[recipe]]", "engines.diffusers"),
        ("[[recipe]]", "[engines.diffusers]\n[[recipe]]", "engines.diffusers.prompt"),
        ("[[recipe]]", f"[engines.diffusers]\n{WORDS}strength = 2\n[[recipe]]", "engines.diffusers.strength"),
        ("[[recipe]]", f"[engines.diffusers]\n{WORDS}seed = 2\n[[recipe]]", "engines.diffusers.seed"),
        ("[[recipe]]", f'[engines.diffusers]\n{WORDS}mode = "upside"\n[[recipe]]', "engines.diffusers.mode"),
    ],
)
def test_a_broken_scene_names_file_and_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    folder = _with(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        Catalogue.load(folder)
    assert f"{Path('odd') / 'scene.toml'}: {field}: " in str(error.value)


def test_what_is_no_toml_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"odd.scene\.toml"):
        Catalogue.load(_with(tmp_path, "kind = "))


def test_broken_words_name_file_and_field(tmp_path: Path) -> None:
    folder = _with(tmp_path, GOOD)
    (folder / "captions.toml").write_text('[six_months]\nen = "six months"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"captions\.toml: six_months: "):
        Catalogue.load(folder)


def test_a_scene_may_bring_words_of_its_own(tmp_path: Path) -> None:
    own = 'captions = ["mine", "six_months"]'
    text = GOOD.replace('kind = "enhance"', f'kind = "milestone"\n{own}').replace(
        "[title]", f"[words.mine]\n{FOUR}[title]"
    )
    odd = Catalogue.load(_with(tmp_path, text)).get("odd")
    assert list(odd.captions) == ["mine", "six_months"], "its own order; the first is the default"
    assert (odd.caption("", "fr"), odd.caption("six_months", "fr")) == ("b", "six mois")


PICTURED = GOOD.replace(
    'step = "tone"',
    'step = "backdrop"\n[[recipe.back]]\nlayer = "sky"\n[[recipe.last]]\nlayer = "image"\nimage = "star.png"',
)


def _picture(width: int = 20, height: int = 10, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (250, 200, 10)).save(out, kind)
    return out.getvalue()


def test_a_scene_may_bring_pictures(tmp_path: Path) -> None:
    folder = _with(tmp_path, PICTURED)
    (folder / "odd" / "star.png").write_bytes(_picture())
    first = Catalogue.load(folder)
    assert [step.name for step in first.get("odd").recipe] == ["decode", "orient", "backdrop", "watermark", "encode"]
    (folder / "odd" / "star.png").write_bytes(_picture(21))
    assert Catalogue.load(folder).edition != first.edition, "another picture, another edition"


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("star.png", b"", "there is no file"),
        ("star.png", b"not a picture", "can't be read as the picture"),
        ("star.png", _picture(kind="JPEG"), "can't be read as the picture"),
        ("star.png", _picture(asset.MOST_SIDE + 1, 1), "at most 2048 a side"),
        ("star.png", bytes(asset.MOST_BYTES + 1), "more than 2,097,152 bytes"),
        ("../star.png", _picture(), "must be the name of a"),
        ("/etc/passwd", _picture(), "must be the name of a"),
        ("star.gif", _picture(kind="GIF"), "must be the name of a"),
    ],
)
def test_a_picture_that_can_t_be_taken_is_named_with_its_field(
    tmp_path: Path, name: str, data: bytes, problem: str
) -> None:
    folder = _with(tmp_path, PICTURED.replace("star.png", name))
    if data:
        (folder / "odd" / Path(name).name).write_bytes(data)
    with pytest.raises(ConfigError, match=r"odd.scene\.toml: recipe\[0\]\.last\[0\]\.image: ") as error:
        Catalogue.load(folder)
    assert problem in str(error.value)


def test_a_picture_elsewhere_is_not_taken(tmp_path: Path) -> None:
    folder = _with(tmp_path, PICTURED)
    (tmp_path / "elsewhere.png").write_bytes(_picture())
    (folder / "odd" / "star.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(ConfigError, match=r"there is no file star\.png"):
        Catalogue.load(folder)


def test_a_step_that_needs_a_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\[0\]\.last\[0\]\.image: missing"):
        Catalogue.load(_with(tmp_path, PICTURED.replace('image = "star.png"', "")))
    (tmp_path / "odd" / "scene.toml").write_text(PICTURED.replace('"star.png"', "3"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"image: must name a picture"):
        Catalogue.load(tmp_path)


def test_a_preview_is_served_within_its_bounds(tmp_path: Path) -> None:
    folder = _with(tmp_path, GOOD)
    assert Catalogue.load(folder).get("odd").preview is None
    preview = folder / "odd" / "preview.jpg"
    preview.write_bytes(_picture(192, 240, "JPEG"))
    shown = Catalogue.load(folder).get("odd").preview
    assert shown is not None
    assert (shown.data, shown.media_type) == (preview.read_bytes(), "image/jpeg")
    for data, problem in (
        (_picture(321, 9, "JPEG"), "321 × 9 px; at most 320"),
        (_picture(20, 20, "PNG"), "can't be read"),
        (bytes(MOST_PREVIEW_BYTES + 1), "more than 20,480 bytes"),
    ):
        preview.write_bytes(data)
        with pytest.raises(SceneError, match=problem) as error:
            Catalogue.load(folder)
        assert error.value.file == "odd/preview.jpg"


def test_a_deployments_own_scenes_stand_beside_ours(tmp_path: Path) -> None:
    assert Catalogue.load(own=tmp_path).edition == BUILT.edition, "an empty folder adds nothing"
    (tmp_path / "notes").mkdir()
    both = Catalogue.load(own=_with(tmp_path, GOOD))
    assert {scene.id for scene in both.scenes()} - {scene.id for scene in BUILT.scenes()} == {"odd"}
    (tmp_path / "odd").rename(tmp_path / "watercolour")
    with pytest.raises(ConfigError, match=r"watercolour.scene\.toml: id: there is a built-in scene"):
        Catalogue.load(own=tmp_path)
    with pytest.raises(ConfigError, match="nowhere: can't be read"):
        Catalogue.load(own=tmp_path / "nowhere")


def test_the_list_stays_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(tmp_path, GOOD)
    monkeypatch.setattr(catalogue, "MOST_SCENES", len(BUILT.scenes()))
    with pytest.raises(ConfigError, match="scenes; at most"):
        Catalogue.load(own=tmp_path)
    monkeypatch.setattr(catalogue, "MOST_SCENES", 200)
    monkeypatch.setattr(catalogue, "MOST_PREVIEWS_BYTES", 1)
    (tmp_path / "odd" / "preview.jpg").write_bytes(_picture(192, 240, "JPEG"))
    with pytest.raises(ConfigError, match="previews"):
        Catalogue.load(own=tmp_path)
