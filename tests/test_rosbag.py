"""ROS bags, written by the package that reads them: the steering burnt into the pictures."""

from __future__ import annotations

import copy
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from logs import brought_in, burnt, picture, steering
from PIL import Image

from videosim.data.formats import detect, read, rosbag
from videosim.errors import VideoSimError

COUNT, STEP_NS, START_NS = 30, 50_000_000, 1_700_000_000_000_000_000


def write_bag(path: Path, storage: str = "MCAP", compressed: bool = True, motion: bool = True) -> Path:
    """Pictures at 20 Hz, odometry at 100 Hz on a clock of its own, as ROS 2 keeps them."""
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds: Any = store.types

    def header(stamp: int) -> Any:
        time = kinds["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        return kinds["std_msgs/msg/Header"](stamp=time, frame_id="")

    def image(n: int, stamp: int) -> Any:
        pixels = picture(float(steering(0, COUNT)[n]))
        if compressed:
            sink = io.BytesIO()
            Image.fromarray(pixels).save(sink, "PNG")
            data = np.frombuffer(sink.getvalue(), np.uint8)
            return kinds["sensor_msgs/msg/CompressedImage"](header=header(stamp), format="png", data=data)
        padded = np.zeros((48, 160), np.uint8)
        padded[:, :144] = pixels.reshape(48, 144)
        return kinds["sensor_msgs/msg/Image"](
            header=header(stamp), height=48, width=48, encoding="bgr8", is_bigendian=0, step=160, data=padded.ravel()
        )

    def twist(n: float, stamp: int) -> Any:
        vector = kinds["geometry_msgs/msg/Vector3"]
        rate = np.interp(n, np.arange(COUNT), steering(0, COUNT))
        twist = kinds["geometry_msgs/msg/Twist"](
            linear=vector(x=2.0 + 0.1 * n, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=float(rate))
        )
        return kinds["geometry_msgs/msg/TwistStamped"](header=header(stamp), twist=twist)

    with rosbag2.Writer(path, version=9, storage_plugin=getattr(rosbag2.StoragePlugin, storage)) as writer:
        kind = "CompressedImage" if compressed else "Image"
        shown = writer.add_connection("/camera/front", f"sensor_msgs/msg/{kind}", typestore=store)
        felt = writer.add_connection("/twist", "geometry_msgs/msg/TwistStamped", typestore=store) if motion else None
        for k in range(5 * COUNT):
            n, stamp = k / 5, START_NS + k * STEP_NS // 5
            if felt is not None:
                writer.write(felt, stamp, store.serialize_cdr(twist(n, stamp), felt.msgtype))
            if k % 5 == 0:  # it reaches the bag 30 ms late
                raw = store.serialize_cdr(image(k // 5, stamp), shown.msgtype)
                writer.write(shown, stamp + 30_000_000, raw)
    return path


@pytest.mark.parametrize(("storage", "compressed"), [("MCAP", True), ("SQLITE3", False)])
def test_every_frame_keeps_its_motion(storage: str, compressed: bool, tmp_path: Path) -> None:
    write_bag(tmp_path / "bags" / "drive", storage, compressed)
    assert detect(tmp_path / "bags") == "rosbag"
    store = brought_in(tmp_path / "bags", tmp_path / "out", episode_frames=20, camera="/camera/front")
    assert store.world.action.names == ("yaw_rate", "speed") and store.world.fps == 20
    assert [n + 1 for n in store.lengths] == [20, 11]
    for k in range(2):
        shown, rate = burnt(store.frames(k)), store.column("actions", k)[:, 0]
        assert np.abs(shown[:-1] - rate).max() < 0.006 < 0.3 < np.abs(shown[1:] - rate).max()
    np.testing.assert_allclose(store.column("actions", 0)[:, 1], 2.0 + 0.1 * np.arange(19), rtol=1e-5)
    shown = read(tmp_path / "bags")[1][0].picture
    again = copy.copy(shown)  # as another process gets it
    for number in (7, 7, 3, 29, 0):
        np.testing.assert_array_equal(again(number), shown(number))
        assert abs(burnt(shown(number)[None])[0] - steering(0, COUNT)[number]) < 0.006
    for pictures in (shown, again):
        pictures.close()


@pytest.mark.parametrize(("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("bgra8", [2, 1, 0])])
def test_the_order_of_colours(encoding: str, order: list[int]) -> None:
    depth = len(encoding) - 1
    raw = np.arange(2 * 3 * depth, dtype=np.uint8).reshape(2, 3, depth)
    message = SimpleNamespace(encoding=encoding, height=2, width=3, step=3 * depth, data=raw.tobytes())
    np.testing.assert_array_equal(rosbag._picture(message, "image 0"), raw[..., order])
    message.data = message.data[:-1]
    with pytest.raises(VideoSimError, match="image 0 is shorter"):
        rosbag._picture(message, "image 0")


def test_a_lone_file_without_motion_is_a_film(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", motion=False)
    (tmp_path / "lone").mkdir()
    next((tmp_path / "bag").glob("*.mcap")).rename(tmp_path / "lone" / "drive.mcap")
    store = brought_in(tmp_path / "lone", tmp_path / "out")
    assert store.world.action.size == 0 and store.frames_total == COUNT


def test_bad_bags_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write_bag(tmp_path / "bag")
    with pytest.raises(VideoSimError, match="no images on '/rear'; its topics are /camera/front"):
        read(bag, camera="/rear")
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(VideoSimError, match="restore it"):
        read(bag)
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    with pytest.raises(VideoSimError, match=r"pip install 'videosim\[rosbags\]'"):
        read(bag)
