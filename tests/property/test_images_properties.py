"""Whatever bytes a file holds, reading gives an RGB image or one line that names the file."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pni_fast.data import image_size, read_image, read_mask
from pni_fast.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, (12, 17), dtype=np.uint8)
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")


def encoded(form):
    buffer = io.BytesIO()
    Image.fromarray(np.stack([NOISE] * 3, axis=2)).save(buffer, format=form)
    return buffer.getvalue()


def outcome(reader, path):
    try:
        return reader(path), None
    except DataError as error:
        return None, str(error)


WHOLE = {form: encoded(form) for form in FORMATS}


@pytest.mark.filterwarnings("ignore")  # Pillow comments on damaged metadata
@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files(tmp_path, form, data):
    raw = bytearray(WHOLE[form])
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[place] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path / "damaged.img"
    path.write_bytes(raw)
    for reader in (read_image, read_mask, image_size):
        found, message = outcome(reader, path)
        assert message is None or (message.startswith(f"{path}: ") and "\n" not in message)
        if reader is read_image and found is not None:
            assert found.mode == "RGB"
            found.tobytes()
