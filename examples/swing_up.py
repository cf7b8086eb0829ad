"""A swing-up learned in imagination and tried in MuJoCo, by stable-baselines3's own functions.

    python examples/swing_up.py          300,000 imagined steps: a minute or two
    python examples/swing_up.py 20000    a look at it

Both sides give the policy the same input, the state that the model believes in: in imagination it is dreamed, in
physics the model reads it off rendered frames.
"""

import sys

import gymnasium
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy

import videosim  # noqa: F401  (registers the environments)
from videosim.agents.sb3 import ImaginationVecEnv, PhysicsVecEnv
from videosim.envs.observations import Filter
from videosim.envs.pool import PhysicsPool
from videosim.envs.twin import load_with_physics


def main(steps: int) -> None:
    torch.set_num_threads(1)  # networks as small as this policy's lose time to more
    model, world = load_with_physics("cartpole-swingup")

    # Sixteen dreams in one forward pass, each from somewhere in the model's data. A short one has no time to stray.
    dreams = ImaginationVecEnv(gymnasium.make_vec("VideoSim-v0", num_envs=16, obs="state", horizon=60))
    physics = PhysicsVecEnv(PhysicsPool(world, 10, render=True), Filter(model, "state"), model.spec.action, seed=1)

    policy = PPO(
        "MlpPolicy", dreams, seed=0, verbose=1, n_steps=128, batch_size=256, gamma=0.98,
        learning_rate=lambda left: 1e-3 * left, policy_kwargs={"log_std_init": -0.5},
    )  # fmt: skip
    before, _ = evaluate_policy(policy, physics, n_eval_episodes=10)
    policy.learn(steps, log_interval=20)
    after, spread = evaluate_policy(policy, physics, n_eval_episodes=10)
    print(f"mean return of 10 episodes in MuJoCo: {before:.0f} untrained,", end=" ")
    print(f"{after:.0f} (standard deviation {spread:.0f}) after {steps:,} imagined steps")
    physics.close()


if __name__ == "__main__":  # the physics runs in processes of its own
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
