import subprocess
import sys


def environment_after(code: str) -> list[str]:
    lines = f"import os, sys; from api.ray_token import require_ray_token; {code}; require_ray_token()"
    report = "print(os.environ.get('RAY_AUTH_MODE'), len(os.environ.get('RAY_AUTH_TOKEN', '')))"
    result = subprocess.run([sys.executable, "-c", f"{lines}; {report}"], capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_a_fresh_process_gets_a_token_of_its_own() -> None:
    assert environment_after("pass") == ["token", "64"]


def test_the_users_setting_is_kept() -> None:
    assert environment_after("os.environ['RAY_AUTH_MODE'] = 'disabled'")[0] == "disabled"


def test_a_ray_that_has_read_its_settings_is_left_alone() -> None:
    assert environment_after("sys.modules['ray'] = sys") == ["None", "0"]
