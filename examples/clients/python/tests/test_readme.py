"""Runs the examples of the README and of the API reference as they are written."""

import contextlib
import io
import json
import re
import os
import sys
import tempfile
import unittest

from .harness import HERE, PASSWORD, admin, server

CONTRACT_CLASS = """
import requests

# Initialize client
class AgentAreaClient:
    def __init__(self, base_url, token):
        self.base_url = base_url
        self.headers = {'Authorization': f'Bearer {token}'}
    
    def create_agent(self, name, agent_type, config):
        response = requests.post(
            f'{self.base_url}/v1/agents/',
            json={'name': name, 'type': agent_type, 'config': config},
            headers=self.headers
        )
        return response.json()
"""  # noqa: W293

CONTRACT_USAGE = """
# Usage
client = AgentAreaClient('http://localhost:8000', 'your-token')
agent = client.create_agent('test-agent', 'chat', {'model': 'gpt-4'})
"""


def run(text, **names):
    """Runs an example with the URL and the credentials of the test server."""
    for old, new in (
        ("http://localhost:8000", server().url),
        ("your-token", admin().token),
        ("your-username", "admin"),
        ("your-password", PASSWORD),
    ):
        text = text.replace(old, new)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "example", "exec"), names)
    return names, out.getvalue()


class Contract(unittest.TestCase):
    def test_usage_with_this_client(self):
        names, _ = run("from agentarea import AgentAreaClient\n" + CONTRACT_USAGE)
        self.assertEqual(
            (names["agent"]["name"], names["agent"]["config"]),
            ("test-agent", {"model": "gpt-4"}),
        )

    def test_client_of_the_reference(self):
        names, _ = run(CONTRACT_CLASS + CONTRACT_USAGE)
        self.assertEqual(
            (names["agent"]["name"], names["agent"]["config"]),
            ("test-agent", {"model": "gpt-4"}),
        )


class Readme(unittest.TestCase):
    def test_all_blocks(self):
        text = (HERE.parents[1] / "README.md").read_text()
        blocks = re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)
        self.assertGreater(len(blocks), 3)
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            self.addCleanup(os.chdir, here)
            with open("report.pdf", "wb") as file:
                file.write(b"%PDF-1.4 a report")
            _, out = run("\n".join(blocks))
            os.chdir(here)
        self.assertIn("Hello, Ann!", out)
        self.assertIn("completed", out)


class BuildAnApp(unittest.TestCase):
    def test_all_blocks(self):
        text = (HERE.parents[3] / "docs" / "build-an-app.md").read_text()
        blocks = re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)
        self.assertGreater(len(blocks), 4)
        npx = '{"command": "npx", "args": ["-y", "@modelcontextprotocol/server-everything"]}'
        local = json.dumps({"command": sys.executable, "args": [str(HERE / "mcp_server.py")]})
        example = "\n".join(blocks)
        self.assertIn(npx, example)
        example = example.replace(npx, local).replace('"demo"', '"demo-python"')
        example = example.replace("demo__echo", "demo-python__greet")
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            self.addCleanup(os.chdir, here)
            with open("list.txt", "w") as file:
                file.write("Milk, bread, eggs")
            _, out = run(example)
            os.chdir(here)
        for expected in ("Hello, Ann!", "tool_result demo-python__greet", "Milk, bread, eggs"):
            self.assertIn(expected, out)


if __name__ == "__main__":
    unittest.main()
