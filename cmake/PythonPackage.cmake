# gos_python_package(): the Python package, whatever backends it has. The build directory holds one that can be imported
# (PYTHONPATH=build/dev/python), made of links; what is installed is the package with libgossamer beside it.
# Sets gos_python_build, the first, and GOSSAMER_PYTHON_DIR, where the second goes. May be called again. Needs Python's
# interpreter to have been found.
function(gos_python_package)
  set(build ${PROJECT_BINARY_DIR}/python/gossamer)
  set(gos_python_build ${build} PARENT_SCOPE)
  # A wheel's root is site-packages; elsewhere -DGOSSAMER_PYTHON_DIR says where the package stands.
  if(SKBUILD)
    set(GOSSAMER_PYTHON_DIR .)
    set(GOSSAMER_PYTHON_DIR . PARENT_SCOPE)
  elseif(NOT GOSSAMER_PYTHON_DIR)
    execute_process(COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.get_path('platlib'))"
      OUTPUT_VARIABLE platlib OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(GOSSAMER_PYTHON_DIR ${platlib} CACHE PATH "Where gossamer/ is installed")
  endif()

  get_property(done GLOBAL PROPERTY gos_python_package)
  if(done)
    return()
  endif()
  set_property(GLOBAL PROPERTY gos_python_package TRUE)

  file(MAKE_DIRECTORY ${build})
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/gossamer/*)
  foreach(file IN LISTS files)
    cmake_path(GET file FILENAME name)
    if(NOT name STREQUAL "__pycache__" AND NOT name MATCHES "\\.so")
      file(CREATE_LINK ${file} ${build}/${name} SYMBOLIC)
    endif()
  endforeach()
  if(NOT SKBUILD) # which packs them itself
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/gossamer DESTINATION ${GOSSAMER_PYTHON_DIR}
      PATTERN "__pycache__" EXCLUDE)
  endif()
  install(FILES $<TARGET_FILE:gossamer> DESTINATION ${GOSSAMER_PYTHON_DIR}/gossamer
    RENAME $<TARGET_SONAME_FILE_NAME:gossamer>)
endfunction()
