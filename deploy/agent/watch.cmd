@echo off
rem Keeps the agent running where the Task Scheduler may not be used: a shortcut to this file in shell:common startup.
rem Ends when the configuration is wrong (2): correct it and start this file again.
set "AGENT=%ProgramFiles%\IAIN\Scripts\iain-agent.exe"
:again
"%AGENT%" watch
if %errorlevel% equ 2 (
  pause
  exit /b 2
)
timeout /t 30 /nobreak >nul
goto again
