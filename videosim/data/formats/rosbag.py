"""ROS 1 and 2 bags and MCAP files, by the package ``rosbags`` (extra "rosbags"). Topics are found by what they carry:
pictures by one that holds images, motion and steering by the messages below, the first of each kind that is there.

Angles and rates are positive to the left, as ROS has them (REP 103). A picture's time is its header's; where that is
empty, the bag's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from videosim.data.extras import needed
from videosim.data.formats.log import Format, Recording, sampled
from videosim.data.formats.pictures import decoded
from videosim.errors import VideoSimError

FULL_LOCK_RAD = 0.6  # of the road wheel
IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
Field = Callable[[Any], float]
# Where each channel may come from, the best first.
SOURCES: dict[str, dict[str, Field]] = {
    "steer": {
        "ackermann_msgs/msg/AckermannDriveStamped": lambda m: m.drive.steering_angle / FULL_LOCK_RAD,
        "ackermann_msgs/msg/AckermannDrive": lambda m: m.steering_angle / FULL_LOCK_RAD,
    },
    "speed": {
        "nav_msgs/msg/Odometry": lambda m: m.twist.twist.linear.x,
        "geometry_msgs/msg/TwistStamped": lambda m: m.twist.linear.x,
        "geometry_msgs/msg/Twist": lambda m: m.linear.x,
        "ackermann_msgs/msg/AckermannDriveStamped": lambda m: m.drive.speed,
    },
    "yaw_rate": {
        "nav_msgs/msg/Odometry": lambda m: m.twist.twist.angular.z,
        "sensor_msgs/msg/Imu": lambda m: m.angular_velocity.z,
        "geometry_msgs/msg/TwistStamped": lambda m: m.twist.angular.z,
        "geometry_msgs/msg/Twist": lambda m: m.angular.z,
    },
    "accel_long": {"sensor_msgs/msg/Imu": lambda m: m.linear_acceleration.x},
}
CHANNELS_OF = {"rgb8": 3, "bgr8": 3, "mono8": 1, "rgba8": 4, "bgra8": 4}


def bags(folder: Path) -> list[Path]:
    """``folder`` where it is a ROS 2 bag, else the bags and files in it."""
    if (folder / "metadata.yaml").is_file():
        return [folder]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and (path / "metadata.yaml").is_file()]
    return inner + [path for path in sorted(folder.iterdir()) if path.suffix in (".bag", ".mcap")]


def detect(folder: Path) -> bool:
    return bool(bags(folder))


def read(folder: Path, camera: str = "") -> list[Recording]:
    """One recording a bag, with the pictures of the topic ``camera``, or of the first that holds any."""
    return [_bag(path, camera) for path in bags(folder)]


FORMAT = Format("a ROS bag or .mcap file (extra rosbags)", detect, read, several=True)


def _opened(path: Path) -> Any:
    highlevel = needed("rosbags.highlevel", "rosbags")
    stores = needed("rosbags.typesys", "rosbags")
    plain = stores.get_typestore(stores.Stores.ROS2_HUMBLE)
    try:
        reader = highlevel.AnyReader([path], default_typestore=plain)
        reader.open()
    except Exception as fault:  # the package lets pass what its storage back ends raise
        raise VideoSimError(
            f"{path} cannot be opened as a bag ({fault}); restore it, or reindex it with ROS"
        ) from fault
    return reader


def _bag(path: Path, camera: str) -> Recording:
    reader = _opened(path)
    try:
        topics = {connection.topic: connection for connection in reader.connections}
        shown = {name: topic for name, topic in sorted(topics.items()) if topic.msgtype in IMAGES}
        if not shown or (camera and camera not in shown):
            asked = f"no images on {camera!r}" if camera else "no images"
            others = ", ".join(shown) or ", ".join(f"{name} ({topic.msgtype})" for name, topic in topics.items())
            raise VideoSimError(f"{path} has {asked}; its topics are {others}")
        picture = shown[camera or next(iter(shown))]
        chosen = _chosen(topics)
        names = {picture.topic, *(topic.topic for topic, _ in chosen.values())}
        wanted = [connection for connection in reader.connections if connection.topic in names]
        times: list[float] = []
        felt: dict[str, tuple[list[float], list[float]]] = {key: ([], []) for key in chosen}
        for connection, stamp, raw in reader.messages(wanted):
            message = reader.deserialize(raw, connection.msgtype)
            when = _seconds(message, stamp)
            if connection.topic == picture.topic:
                times.append(when)
            for key, (topic, value) in chosen.items():
                if topic.topic == connection.topic:
                    felt[key][0].append(when)
                    felt[key][1].append(float(value(message)))
    except VideoSimError:
        raise
    except Exception as fault:
        raise VideoSimError(f"{path} is damaged ({fault}); restore it, or reindex it with ROS") from fault
    finally:
        reader.close()
    clock = np.array(times)
    channels = {key: sampled(clock, np.array(at), np.array(values)) for key, (at, values) in felt.items()}
    told = ", ".join(f"{key} from {topic.topic}" for key, (topic, _) in chosen.items())
    note = f"{path.name}: pictures from {picture.topic}{', ' + told if told else ''}"
    return Recording(path.stem, clock, BagPictures(path, picture.topic), channels, film=str(path), notes=[note])


def _chosen(topics: dict[str, Any]) -> dict[str, tuple[Any, Field]]:
    """The topic of each channel that the bag has, and how to read it."""
    found = {}
    for key, sources in SOURCES.items():
        for kind, field in sources.items():
            fits = [topic for _, topic in sorted(topics.items()) if topic.msgtype == kind]
            if fits:
                found[key] = (fits[0], field)
                break
    return found


def _seconds(message: Any, stamp: int) -> float:
    header = getattr(message, "header", None)
    own = header.stamp.sec + 1e-9 * header.stamp.nanosec if header is not None else 0.0
    return own or 1e-9 * stamp


class BagPictures:
    """``pictures(n)`` is the n-th image of one topic. Reading on is cheap, going back starts anew."""

    def __init__(self, path: Path, topic: str) -> None:
        self.path, self.topic = path, topic
        self._reader: Any = None
        self._messages: Iterator[tuple[int, Any]] = iter(())
        self._last: tuple[int, np.ndarray] | None = None
        self._next = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "topic": self.topic}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, number: int) -> np.ndarray:
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        if self._reader is None or number < self._next:
            self.close()
            self._reader = _opened(self.path)
            own = [connection for connection in self._reader.connections if connection.topic == self.topic]
            self._messages = enumerate(self._reader.messages(own))
        for at, (connection, _, raw) in self._messages:
            if at == number:
                self._next = at + 1
                message = self._reader.deserialize(raw, connection.msgtype)
                self._last = (number, _picture(message, f"image {number} of {self.topic} in {self.path}"))
                return self._last[1]
        raise VideoSimError(f"{self.path} ends before image {number} of {self.topic}; restore the file")

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._messages, self._last, self._next = None, iter(()), None, 0


def _picture(message: Any, name: str) -> np.ndarray:
    if not hasattr(message, "encoding"):
        return decoded(bytes(message.data), name)
    depth = CHANNELS_OF.get(message.encoding)
    if depth is None:
        raise VideoSimError(f"{name} is encoded as {message.encoding!r}; {', '.join(CHANNELS_OF)} can be read")
    try:
        rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.step)
        pixels = rows[:, : message.width * depth].reshape(message.height, message.width, depth)
    except ValueError as fault:
        raise VideoSimError(f"{name} is shorter than its size says; restore the bag") from fault
    if depth == 1:
        return pixels[..., 0]
    return pixels[..., 2::-1] if message.encoding.startswith("bgr") else pixels[..., :3]
