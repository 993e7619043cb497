"""From what a user writes after ``--codec`` to a codec that can be measured.

A spec is one of

- ``NAME[:key=value,...]``: a classical codec, or one that a package brings by the entry point group
  "neuralcodec.codecs";
- the name of a model, or the path of a model file;
- ``module:Class[:key=value,...]``: a :class:`~neuralcodec.codec.Codec` that can be imported from here;
- ``cmd[key=value,...]:ENCODER ::: DECODER``: two commands (:mod:`neuralcodec.codecs.command`);
- ``compressai:ARCHITECTURE:QUALITY[:CHECKPOINT]``: a model of CompressAI (:mod:`neuralcodec.codecs.compressai`);

and, in every form, ``@q1,q2,...`` at its end: the rate points to measure instead of the codec's own.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from neuralcodec.codec import Codec, codec_names, find_codec
from neuralcodec.codecs.classical import TABLE, classical_codec, classical_codecs
from neuralcodec.codecs.command import command_codec
from neuralcodec.codecs.compressai import compressai_codec
from neuralcodec.codecs.options import Option, read_options
from neuralcodec.errors import NeuralCodecError, UnknownModel, UnsupportedInput
from neuralcodec.evaluation.subject import Subject, split_points
from neuralcodec.zoo import find_model, model_names
from neuralcodec.zoo.resolve import codec_with, model_path

_CLASS = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)(:(?P<options>.*))?")
_COMPRESSAI = "compressai:"
_COMMAND = re.compile(r"cmd(\[(?P<options>[^\]]*)\])?:(?P<commands>.*)", re.DOTALL)


def find_subject(spec: str) -> Subject:
    """Return the codec that a spec names, with its rate points (see the module's text for the forms).

    Parameters
    ----------
    spec
        For example "jpeg", "avif:speed=8@30,50,70", "pc-mnist", "./my.ncm", "my_package.codecs:Mine" or
        "cmd:cjxl {in} {out.jxl} -q {q} ::: djxl {in.jxl} {out}@30,60,90".

    Raises
    ------
    UnsupportedInput
        If there is no such codec, or it cannot have such options or rate points, or its library is not here.
    NeuralCodecError
        If a model's file is damaged.

    >>> find_subject("jpeg:progressive=yes@50,90").qualities
    (50.0, 90.0)
    >>> find_subject("jpeg:optimise=yes")
    Traceback (most recent call last):
        ...
    neuralcodec.errors.UnsupportedInput: jpeg has no option 'optimise'; its options are optimize=no (yes or no), \
progressive=no (yes or no)
    """
    text, points = split_points(spec)
    if command := _COMMAND.fullmatch(text):
        settings = _options(text, command["options"] or "")
        return Subject(command_codec(command["commands"], settings, rate_points=bool(points)), spec, points)
    if text.startswith(_COMPRESSAI):
        return _of_compressai(text, spec, points)
    if model_path(text) is not None:
        return _of_model(text, spec, points)
    name, _, rest = text.partition(":")
    kind = classical_codec(name) if name in TABLE else _of_package(name)
    if kind is not None:
        return Subject(_made(kind, name, rest), spec, points, options=rest)
    if described := _CLASS.fullmatch(text):
        kind, options = _of_module(described["module"], described["name"]), described["options"] or ""
        name = f"{described['module']}:{described['name']}"
        return Subject(_made(kind, name, options), spec, points, options=options)
    if text in model_names() or not rest:
        return _of_model(text, spec, points)
    raise _unknown(text)


def available() -> Mapping[str, str]:
    """Return the codecs that can be measured by their names alone, models included: titles by name."""
    found = {kind.name: kind.title for kind in classical_codecs() if kind.absent() is None}
    for name in codec_names():
        try:
            kind = _of_package(name)
        except NeuralCodecError:
            continue  # a broken package must not stand in the way of the others
        if kind is not None:
            found[name] = kind.title or name
    return found | {name: name for name in model_names()}


def absent() -> Mapping[str, str]:
    """Return the classical codecs whose libraries are not here: what to install, by name."""
    remedies = ((kind.name, kind.absent()) for kind in classical_codecs())
    return {name: remedy for name, remedy in remedies if remedy}


def _of_model(text: str, spec: str, points: tuple[float, ...] | None) -> Subject:
    path = model_path(text)
    try:
        codec = codec_with(text)
        size = os.path.getsize(path if path is not None else find_model(text).path)
    except UnknownModel as error:
        raise _unknown(text) if path is None else UnsupportedInput(f"{spec}: {error}") from None
    return Subject(codec, spec, points, model_bytes=size)


def _of_compressai(text: str, spec: str, points: tuple[float, ...] | None) -> Subject:
    architecture, _, rest = text.removeprefix(_COMPRESSAI).partition(":")
    quality, _, checkpoint = rest.partition(":")
    if not architecture or not quality.isdecimal():
        raise UnsupportedInput(
            f"{spec}: CompressAI's models are named compressai:ARCHITECTURE:QUALITY[:CHECKPOINT], such as "
            "compressai:bmshj2018-hyperprior:4:weights.pth"
        )
    codec = compressai_codec(architecture, int(quality), checkpoint or None)
    return Subject(codec, spec, points, model_bytes=os.path.getsize(codec.model.path))


def _of_package(name: str) -> type[Codec] | None:
    """Return the codec that an installed package brings by this name; None if it needs a model, or is none."""
    try:
        kind = find_codec(name)
    except ImportError as error:
        raise UnsupportedInput(
            f"the codec {name!r} of an installed package fails to import: {error}"
        ) from None
    return kind if kind is not None and kind.family is None else None


def _of_module(module: str, name: str) -> type[Codec]:
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name)
    except ImportError as error:
        raise UnsupportedInput(
            f"{module}:{name} cannot be imported from here ({error}); classical codecs are {_listed(TABLE)}"
        ) from None
    except AttributeError:
        raise UnsupportedInput(f"the module {module} has no class {name}") from None
    except Exception as error:  # what a user's module does wrong as it is imported
        raise UnsupportedInput(
            f"{module} fails as it is imported: {type(error).__name__}: {error}"
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    if not (isinstance(found, type) and issubclass(found, Codec)):
        raise UnsupportedInput(f"{module}:{name} is not a subclass of neuralcodec.codec.Codec")
    unmet = sorted(getattr(found, "__abstractmethods__", ()))
    if unmet:
        raise UnsupportedInput(f"{module}:{name} lacks {', '.join(unmet)}")
    if found.family is not None:
        raise UnsupportedInput(f"{module}:{name} needs a model of the family {found.family!r}: give its file")
    return found


def _made(kind: type[Codec], name: str, options: str) -> Codec:
    """Return a codec without a model, with the options of a spec: the keyword arguments of its class."""
    remedy = kind.absent() if hasattr(kind, "absent") else None
    if remedy:
        raise UnsupportedInput(f"{name} is not available here: {remedy}")
    declared: Mapping[str, Option] = getattr(kind, "options", {})
    given = _options(name, options)
    read_options(name, declared, given)
    try:
        return kind(**given) if declared else kind.bound(None)
    except NeuralCodecError:
        raise
    except Exception as error:  # what a user's class does wrong as it is made
        raise UnsupportedInput(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def _options(name: str, text: str) -> dict[str, Any]:
    """Return the options of a spec, "key=value,..."."""
    found: dict[str, Any] = {}
    for word in filter(None, text.split(",")):
        key, sign, value = (part.strip() for part in word.partition("="))
        if not sign or not key or key in found:
            raise UnsupportedInput(f"{name}: {word!r} is no option: options are key=value, each once")
        found[key] = value
    return found


def _unknown(text: str) -> UnsupportedInput:
    name = text.partition(":")[0]
    names = [*TABLE, *available()]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f" (did you mean {' or '.join(dict.fromkeys(near))}?)" if near else ""
    return UnsupportedInput(f"there is no codec or model {name!r}{hint}; there are {_listed(names)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
